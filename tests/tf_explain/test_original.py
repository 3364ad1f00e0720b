"""Comparison with tf-explain 0.3.1 itself, in one process: equal where it is right, correct where it is wrong."""

import runpy
import warnings
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tf_explain as original
from helpers import gap_network, raw_maps
from keras import layers
from tf_explain.utils.image import transform_to_normalized_grayscale as original_gray

from keras_actmaps import tf_explain as ours
from keras_actmaps.tf_explain.explainer import features_and_gradients, trace_with_output_activation
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale

MEASURES = {
    measure.__name__: measure
    for measure in runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "tf_explain.py"))["MEASURES"]
}
RANGES = {  # whether a measured value shows tf-explain's error, and whether it shows the correct result
    "nan_in_a_constant_map": (lambda warned: warned > 0, lambda warned: warned == 0),
    "photograph_below_a_map": (lambda levels: levels > 50, lambda levels: levels == 0),
    "wrapped_gradients": (lambda pixels: True, lambda pixels: pixels == 0),  # whether any wrap depends on the processor
    "standardized_together": (lambda levels: levels > 20, lambda levels: levels == 0),
    "small_gradients": (lambda level: level < 2, lambda level: level == 255),
    "occlusion_of_a_wide_image": (lambda pixels: pixels > 10, lambda pixels: pixels == 0),
    "occlusion_of_values_up_to_1": (lambda share: share == 0, lambda share: share == 1 - 16 / 256),
    "integrated_gradients": (lambda missed: missed > 0.9, lambda missed: missed < 0.01),
    "gradients_of_a_certain_model": (lambda level: level == 0, lambda level: level == 255),
    "gradcam_of_a_certain_model": (lambda highest: highest == 0, lambda highest: highest > 1),
    "occlusion_of_a_certain_model": (lambda span: span == 0, lambda span: span > 1),
    "smoothgrad_of_a_certain_model": (lambda highest: highest == 0, lambda highest: highest > 0.1),
    "smoothgrad_of_logits": (lambda highest: highest == 0, lambda highest: highest > 0.001),
    "gradcam_against": (lambda lowest: lowest < -0.001, lambda lowest: lowest == 0),
    "silent_failure": (lambda errors: errors == 0, lambda errors: errors == 1),
}
pytestmark = pytest.mark.filterwarnings("ignore:Unsupported model architecture")


@pytest.fixture
def pair(images):
    """Images and labels, which are not used."""
    return images[:3], np.zeros(3)


@pytest.mark.parametrize("name", MEASURES)
def test_an_error_of_tf_explain_is_corrected(name):
    is_wrong, is_right = RANGES[name]
    assert is_wrong(MEASURES[name](original))
    assert is_right(MEASURES[name](ours))


@pytest.mark.parametrize("guided", [True, False])
def test_gradcam_agrees_on_a_model_of_logits(pair, guided):
    model = gap_network()
    before, after = (
        package.core.GradCAM.get_gradients_and_filters(model, pair[0], "features", 1, guided)
        for package in (original, ours)
    )
    for theirs, mine in zip(before, after):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    theirs, mine = (
        np.stack(package.core.GradCAM.generate_ponderated_output(*found))
        for package, found in ((original, before), (ours, after))
    )
    np.testing.assert_allclose(mine, np.maximum(theirs, 0), atol=1e-5)
    if guided:
        grids = [package.core.GradCAM().explain(pair, model, 1, layer_name="features") for package in (original, ours)]
        assert grids[1].dtype == grids[0].dtype and grids[1].shape == grids[0].shape
        np.testing.assert_allclose(grids[1].astype(int), grids[0], atol=1)


@pytest.mark.parametrize("name", ["VanillaGradients", "GradientsInputs"])
@pytest.mark.parametrize("softmax_layer", [False, True])
def test_gradients_agree_on_a_model_whose_logits_tf_explain_finds(pair, name, softmax_layer):
    model = gap_network(softmax_layer=softmax_layer)
    theirs, mine = (getattr(package.core, name)() for package in (original, ours))
    before = theirs.compute_gradients(pair[0], theirs.get_score_model(model), 2)
    np.testing.assert_allclose(mine.compute_gradients(pair[0], model, 2), before, atol=1e-5)


def test_activations_agree_pixel_by_pixel(pair):
    model = gap_network()
    grids = [package.core.ExtractActivations().explain(pair, model, ["features"]) for package in (original, ours)]
    np.testing.assert_allclose(grids[1].astype(int), grids[0], atol=1)


def test_sensitivity_maps_agree_on_square_images():
    model, image = uncertain_network(), np.random.default_rng(0).random((16, 16, 3)) * 255
    before, after = (
        package.core.OcclusionSensitivity(batch_size=4).get_sensitivity_map(model, image, 0, 4)
        for package in (original, ours)
    )
    assert np.ptp(after) > 0.005
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_sensitivity_maps_have_height_and_width_in_order():
    model = MEASURES["occlusion_of_a_wide_image"].__globals__["corner"](12, 24)
    image = np.full((12, 24, 3), 100, "float32")
    cells = np.full((3, 6), 1 - 100, "float32")
    cells[0, 5] = 1 - 127.5
    found = ours.core.OcclusionSensitivity().get_sensitivity_map(model, image, 0, 4)
    np.testing.assert_allclose(found, cv2.resize(cells, (24, 12)), rtol=1e-5)


def test_noise_is_drawn_from_numpys_global_state(pair):
    noisy = []
    for package in (original, ours):
        np.random.seed(5)
        noisy.append(package.core.SmoothGrad.generate_noisy_images(pair[0], 4, 0.3))
    np.testing.assert_array_equal(*noisy)


def test_a_gray_picture_of_one_image_agrees_where_tf_explains_does_not_wrap():
    attributions = np.random.default_rng(0).random((1, 16, 16, 3), "float32")
    assert_close(transform_to_normalized_grayscale(attributions).numpy(), original_gray(attributions).numpy())


def test_compatible_gradcam_is_the_gradient_of_the_probability_without_relu(pair):
    model = gap_network(activation="softmax")
    theirs = original.core.GradCAM.get_gradients_and_filters(model, pair[0], "features", 1, False)
    mine = features_and_gradients(trace_with_output_activation(model, "features"), pair[0], 1)
    np.testing.assert_allclose(mine[1], theirs[1], atol=1e-7)
    grids = [
        explainer.explain(pair, model, 1, layer_name="features", use_guided_grads=guided)
        for guided in (True, False)
        for explainer in (original.core.GradCAM(), ours.core.GradCAM(compatible=True))
    ]
    for before, after in (grids[:2], grids[2:]):
        np.testing.assert_allclose(after.astype(int), before, atol=1)


@pytest.mark.parametrize("ending", [{"activation": "softmax"}, {"activation": None}, {"softmax_layer": True}], ids=str)
@pytest.mark.parametrize(
    "name, settings",
    [
        ("VanillaGradients", {}),
        ("GradientsInputs", {}),
        ("IntegratedGradients", {"n_steps": 4}),
        ("SmoothGrad", {"num_samples": 3, "noise": 0.3}),
    ],
)
def test_compatible_gray_pictures_are_those_of_tf_explain(pair, name, settings, ending):
    model, grids = gap_network(**ending), []
    target = int(model.predict(pair[0], verbose=0).mean(0).argmax())
    for explainer in (getattr(original.core, name)(), getattr(ours.core, name)(compatible=True)):
        np.random.seed(1)
        grids.append(explainer.explain(pair, model, target, **settings))
    assert_close(grids[1], grids[0])
    assert (getattr(ours.core, name)().explain(pair, model, target, **settings) != grids[1]).any()


def test_compatible_occlusion_is_one_minus_the_probability_with_a_patch_of_127_5():
    model, images = uncertain_network(), np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    explainers = original.core.OcclusionSensitivity(), ours.core.OcclusionSensitivity(compatible=True)
    before, after = (explainer.explain((images, None), model, 0, 4) for explainer in explainers)
    np.testing.assert_allclose(after.astype(int), before, atol=1)
    assert (ours.core.OcclusionSensitivity().explain((images, None), model, 0, 4) != after).any()


@pytest.mark.parametrize("name", ours.core.__all__)
def test_compatible_explainers_take_sequential_and_nested_models(pair, name):
    inside = keras.Sequential([keras.Input((12, 16, 3)), layers.Conv2D(5, 3, activation="relu", name="inner")])
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((12, 16, 3)), inside, *head])
    arguments = (["inner"],) if name == "ExtractActivations" else (0, 4) if name == "OcclusionSensitivity" else (0,)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        grid = getattr(ours.core, name)(compatible=True).explain(pair, model, *arguments)
    assert grid.dtype == np.uint8 and np.ptp(grid) > 0


def test_the_default_gradcam_of_both_is_guided_and_not_that_of_the_paper(pair):
    model = gap_network()
    guided, plain = (
        np.stack(
            ours.core.GradCAM.generate_ponderated_output(
                *ours.core.GradCAM.get_gradients_and_filters(model, pair[0], "features", 1, use_guided_grads)
            )
        )
        for use_guided_grads in (True, False)
    )
    paper = raw_maps("gradcam", model, pair[0], 1, layer="features")
    np.testing.assert_allclose(plain, paper, atol=1e-6)
    assert np.abs(guided - paper).max() > 0.1 * np.abs(paper).max()


def uncertain_network() -> keras.Model:
    """A model of square images whose probabilities are neither 0 nor 1 for values up to 255."""
    model = gap_network((16, 16, 3), activation="softmax")
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel / 100)
    return model


def assert_close(grid, expected) -> None:
    """Equal but for rounding where the values are inside 0..255; beyond, tf-explain's wrap around on some CPUs."""
    inside = (grid > 0) & (grid < 255)
    assert grid.shape == expected.shape and inside.mean() > 0.05
    np.testing.assert_allclose(grid[inside].astype(int), expected[inside], atol=1)
