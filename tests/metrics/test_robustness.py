"""Max-sensitivity and local Lipschitz: closed forms on linear and quadratic models, and loops over the same draws."""

import keras
import numpy as np
import pytest
from helpers import gap_network, linear_network
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.metrics import local_lipschitz, max_sensitivity


@pytest.mark.parametrize("metric", [max_sensitivity, local_lipschitz])
def test_the_gradient_of_a_linear_model_does_not_change(images, metric):
    model, _, _ = linear_network(images.shape[1:])
    e = kam.explain(model, images, "saliency", targets=1)
    np.testing.assert_array_equal(metric(model, images, e, samples=3), 0)


def test_the_lipschitz_constant_of_a_quadratic_is_that_of_its_gradient():
    """Y = a/2 |x|^2: R = dY/dx = a x, so |R(y) - R(x)| / |y - x| = a wherever y is."""
    inputs = keras.Input((6,))
    half = layers.Lambda(lambda x: 1.5 * ops.sum(x**2, axis=-1, keepdims=True), output_shape=(1,))
    model = keras.Model(inputs, half(inputs))
    images = np.random.default_rng(0).random((3, 6), "float32") + 1
    e = kam.explain(model, images, "saliency", channels="keep")
    np.testing.assert_allclose(e.maps, 3 * images, rtol=1e-5)
    np.testing.assert_allclose(local_lipschitz(model, images, e, samples=4), 3, rtol=1e-3)


@pytest.mark.parametrize("method", ["saliency", "gradcam"])
def test_both_equal_the_maxima_computed_by_a_loop(images, method):
    """Yeh et al. (Quantus' MaxSensitivity, captum's sensitivity_max) and Alvarez-Melis & Jaakkola, with our draws."""
    model, targets = gap_network(), np.array([0, 1, 2, 3, 0])
    e = kam.explain(model, images, method, targets)
    settings = {"radius": 0.1, "samples": 3, "seed": 5, "batch_size": 4}
    changes, slopes = np.zeros((2, 5, 3))
    for sample in range(3):
        drawn = np.random.default_rng([5, sample]).uniform(-1, 1, images.shape[1:]).astype("float32")
        for number, (image, target) in enumerate(zip(images, targets)):
            near = image + 0.1 * np.ptp(image) * drawn
            assert np.abs(near - image).max() <= 0.1 * np.ptp(image) * (1 + 1e-5)
            change = np.linalg.norm(kam.explain(model, near[None], method, int(target)).maps[0] - e.maps[number])
            changes[number, sample] = change / max(np.linalg.norm(e.maps[number]), 1e-30)
            slopes[number, sample] = change / np.linalg.norm(near - image)
    assert (changes > 0).any()
    np.testing.assert_allclose(max_sensitivity(model, images, e, **settings), changes.max(1), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(local_lipschitz(model, images, e, **settings), slopes.max(1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("metric", [max_sensitivity, local_lipschitz])
def test_maps_of_zeros_and_images_of_one_color_give_zero(images, metric):
    model = gap_network()
    model.get_layer("logits").set_weights([np.zeros((8, 4)), np.zeros(4)])
    e = kam.explain(model, images, "saliency")
    assert not e.maps.any()
    np.testing.assert_array_equal(metric(model, images, e, samples=2), 0)
    plain = np.full_like(images, 0.5)
    e = kam.explain(gap_network(), plain, "saliency")
    np.testing.assert_array_equal(metric(gap_network(), plain, e, samples=2), 0)


def test_layer_settings_and_targets_are_those_of_the_explanation(images):
    model = gap_network()
    e = kam.explain(model, images, "layercam", targets=2, layer="pool1")
    other = kam.explain(model, images, "layercam", targets=2)
    assert (max_sensitivity(model, images, e, radius=1e-6, samples=1) < 1e-3).all()
    replaced = kam.Explanation(other.maps, e.targets, e.scores, e.method, e.layer, settings=e.settings)
    assert (max_sensitivity(model, images, replaced, radius=1e-6, samples=1) > 0.1).any()
    greatest = kam.explain(model, images, "gradient_x_input", channels="max")
    assert (max_sensitivity(model, images, greatest, radius=1e-6, samples=1) < 1e-2).all()
    probe = kam.Probe(model)
    with pytest.raises(ValueError, match="layer='pool1', but the Probe was made for layer='features'"):
        max_sensitivity(probe, images, e)


def test_a_function_of_the_outputs_is_passed_again(images):
    model = gap_network()

    def margin(outputs):
        return outputs[:, 0] - outputs[:, 1]

    e = kam.explain(model, images, "saliency", targets=margin)
    with pytest.raises(ValueError, match="the maps explain a function of the outputs; pass it as targets=function"):
        max_sensitivity(model, images, e)
    assert (max_sensitivity(model, images, e, targets=margin, radius=1e-6, samples=1) < 1e-2).all()


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"radius": 0}, "radius must be a finite number > 0, got 0"),
        ({"samples": 0}, "samples must be an integer >= 1 .*, got 0"),
        ({"seed": -1}, "seed must be an integer >= 0 .*, got -1"),
    ],
)
def test_bad_settings_are_refused_before_any_work(settings, error, images, monkeypatch):
    model = gap_network()
    e = kam.explain(model, images, "saliency")
    monkeypatch.setattr(kam.Probe, "program", lambda *_, **__: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match=error):
        max_sensitivity(model, images, e, **settings)
