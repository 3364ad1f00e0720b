"""Coherency on linear models, whose maps of masked images are known, and against a loop."""

import numpy as np
import pytest
from helpers import gap_network, linear_network

import keras_actmaps as kam
from keras_actmaps.metrics import coherency


def unit_range(values):
    return (values - values.min()) / np.ptp(values)


def test_the_gradient_of_a_linear_model_is_coherent_and_its_product_is_squared(images):
    """R = w x of the image masked by m is m R, with m the scaled R."""
    model, weights, _ = linear_network(images.shape[1:])
    e = kam.explain(model, images, "saliency", targets=1)
    np.testing.assert_allclose(coherency(model, images, e), 1, rtol=1e-6)
    e = kam.explain(model, images, "gradient_x_input", targets=1)
    maps = (images * weights[..., 1]).sum(-1)
    expected = [(1 + np.corrcoef((unit_range(m) * m).ravel(), m.ravel())[0, 1]) / 2 for m in maps]
    np.testing.assert_allclose(coherency(model, images, e), expected, rtol=1e-4)


@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_values_equal_those_of_a_loop(images, fill):
    model = gap_network()
    e = kam.explain(model, images, "gradcam", targets=2, layer="pool1")
    expected = []
    for image, values in zip(images, e.maps):
        mask, color = unit_range(values)[..., None], image.mean((0, 1)) if fill == "mean" else 0
        masked = (mask * image + (1 - mask) * color)[None].astype("float32")
        again = kam.explain(model, masked, "gradcam", targets=2, layer="pool1").maps[0]
        expected.append((1 + np.corrcoef(values.ravel(), again.ravel())[0, 1]) / 2)
    assert np.ptp(expected) > 0.001
    np.testing.assert_allclose(coherency(model, images, e, fill=fill, batch_size=2), expected, rtol=1e-4)


def test_a_constant_map_is_unrelated(images):
    e = kam.explain(gap_network(), images, "saliency", targets=1)
    constant = kam.Explanation(np.ones_like(e.maps), e.targets, e.scores, e.method, settings=e.settings)
    np.testing.assert_array_equal(coherency(gap_network(), images, constant), 0.5)
