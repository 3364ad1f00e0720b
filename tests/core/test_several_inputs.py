"""Models with several inputs, against closed forms, finite differences and the same network with one input."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam


def linear_model():
    """Logits that are linear in an image (4, 5, 2) and a table (3,), with an auxiliary integer input."""
    image, table = keras.Input((4, 5, 2), name="image"), keras.Input((3,), name="table")
    flat = layers.Concatenate()([layers.Flatten()(image), table])
    return randomised(keras.Model({"image": image, "table": table}, layers.Dense(3, name="out")(flat)))


def linear_inputs(count=4):
    random = np.random.default_rng(0)
    return {"table": random.random((count, 3), "float32"), "image": random.random((count, 4, 5, 2), "float32")}


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "lrp", "deeplift"])
def test_contributions_of_a_linear_model_are_weights_times_inputs(method):
    model, inputs = linear_model(), linear_inputs()
    kernel, bias = model.get_layer("out").get_weights()
    settings = {"rule": "0", "bias": True} if method == "lrp" else {}
    e = kam.explain(model, inputs, method, targets=1, **settings)
    assert set(e.maps) == {"image", "table"} and e.method == method
    weights = kernel[:40, 1].reshape(4, 5, 2)
    np.testing.assert_allclose(e.maps["image"], (inputs["image"] * weights).sum(-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.maps["table"], inputs["table"] * kernel[40:, 1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.scores, model.predict(inputs, verbose=0)[:, 1], rtol=1e-4, atol=1e-5)
    if e.residual is not None:
        total = sum(part.reshape(4, -1).sum(1) for part in e.maps.values())
        expected = 0 if method != "lrp" else bias[1] if e.residual.any() else 0
        np.testing.assert_allclose(total + expected - e.scores, 0 if method == "lrp" else -bias[1], atol=1e-4)
