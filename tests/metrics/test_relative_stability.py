"""Relative input stability: closed forms, and a loop over the same draws."""

import keras
import numpy as np
import pytest
from helpers import gap_network
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.metrics import relative_input_stability


@pytest.mark.parametrize(("power", "method", "expected"), [(2, "saliency", 1), (1, "gradient_x_input", 1)])
def test_a_map_proportional_to_the_image_changes_as_much_as_it(power, method, expected):
    """Y = sum x^2 has the gradient 2 x, Y = sum x the product x; both change by the same share as x."""
    inputs = keras.Input((6,))
    total = layers.Lambda(lambda x: 3.0 * ops.sum(x**power, axis=-1, keepdims=True), output_shape=(1,))
    model = keras.Model(inputs, total(inputs))
    images = np.random.default_rng(0).random((3, 6), "float32") + 1
    e = kam.explain(model, images, method, channels="keep")
    np.testing.assert_allclose(relative_input_stability(model, images, e, samples=4), expected, rtol=1e-3)


def test_values_equal_those_of_a_loop_over_neighbors_of_the_same_class(images):
    model, radius = gap_network(), 0.4
    head = model.get_layer("logits")
    logits = np.median(model.predict(images, verbose=0), axis=0)
    head.bias.assign(head.bias - logits)  # so that some predictions change
    e = kam.explain(model, images, "gradient_x_input", targets=1)
    expected, changed = np.full(5, np.nan), 0
    for sample in range(6):
        drawn = np.random.default_rng([3, sample]).uniform(-1, 1, images.shape[1:]).astype("float32")
        near = images + radius * np.ptp(images, axis=(1, 2, 3), keepdims=True) * drawn
        maps = kam.explain(model, near, "gradient_x_input", targets=1).maps
        classes = [model.predict(batch, verbose=0).argmax(1) for batch in (images, near)]
        for n in range(5):
            change, distance = ratio(e.maps[n], maps[n]), ratio(images[n], near[n])
            if classes[0][n] == classes[1][n]:
                expected[n] = np.fmax(expected[n], change / distance)
            changed += classes[0][n] != classes[1][n]
    assert 0 < changed < 30
    found = relative_input_stability(model, images, e, radius=radius, samples=6, floor=0.01, seed=3, batch_size=4)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def ratio(values, others):
    divisors = np.maximum(np.abs(values), 0.01 * np.abs(values).max())
    return np.linalg.norm((others.astype("float64") - values) / divisors)


def test_the_value_depends_on_no_scale(images):
    model = gap_network()
    e = kam.explain(model, images, "saliency", targets=0)
    found = relative_input_stability(model, images, e, samples=2)
    model.get_layer("logits").set_weights([7 * array for array in model.get_layer("logits").get_weights()])
    larger = kam.explain(model, images, "saliency", targets=0)
    np.testing.assert_allclose(relative_input_stability(model, images, larger, samples=2), found, rtol=1e-2)


def test_an_image_of_one_color_has_no_neighbors_but_itself(images):
    plain = np.full_like(images, 0.5)
    e = kam.explain(gap_network(), plain, "saliency")
    np.testing.assert_array_equal(relative_input_stability(gap_network(), plain, e, samples=2), 0)
