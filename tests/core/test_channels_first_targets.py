"""Targets of segmentation by PyTorch modules and Keras models whose classes are the first axis of an image."""

import numpy as np
import pytest
from helpers import BACKEND, randomised
from keras import Input, Model, layers, ops

import keras_actmaps as kam

METHODS = {"saliency": {}, "occlusion": {"patch": 2, "stride": 2}, "integrated_gradients": {"steps": 3}}


@pytest.mark.skipif(BACKEND != "torch", reason="modules need Keras on PyTorch")
@pytest.mark.parametrize("method", METHODS)
def test_a_module_is_segmented_along_its_first_axis(method):
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 1)).eval()
    pictures = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype("float32")  # as many classes as rows
    with torch.no_grad():
        won = module(torch.from_numpy(pictures)).numpy().argmax(1) == 1
    assert won.any() and not won.all()
    maps = [
        kam.explain(module, pictures, method, targets=target, batch_size=2, **METHODS[method]).maps
        for target in (kam.targets.PredictedRegion(1), kam.targets.Region(1, won))
    ]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5 * np.abs(maps[1]).max())
    if method == "saliency":
        x = torch.from_numpy(pictures).requires_grad_()
        (module(x)[:, 1] * torch.from_numpy(won)).sum().backward()
        expected = x.grad.abs().amax(1).numpy()
        np.testing.assert_allclose(maps[0], expected, atol=1e-5 * expected.max())


def test_the_axis_of_the_classes_in_a_keras_model():
    inputs = Input((6, 6, 2))
    last = layers.Conv2D(6, 3, padding="same")(inputs)
    model = randomised(Model(inputs, layers.Permute((3, 1, 2))(last)))
    pictures = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype("float32")
    won = model.predict(pictures, verbose=0).argmax(1) == 1
    e = kam.explain(model, pictures, "saliency", targets=kam.targets.PredictedRegion(1, axis=1))
    reference = Model(inputs, last)
    weights = ops.convert_to_tensor(won.astype("float32"))
    expected = kam.explain(reference, pictures, "saliency", targets=lambda y: ops.sum(y[..., 1] * weights, axis=(1, 2)))
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-5 * expected.maps.max())
    with pytest.raises(ValueError, match="axis must be 1, 2 or 3"):
        kam.explain(model, pictures, "saliency", targets=kam.targets.PredictedRegion(1, axis=4))
