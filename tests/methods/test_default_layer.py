"""The default layer: on the way from the input to all outputs that a target explains, with the reason for it."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam


def pictures():
    return np.random.default_rng(0).random((4, 12, 10, 3), "float32")


def two_heads():
    """A stem, from which two heads with convolutions of their own branch early."""
    inputs = keras.Input((12, 10, 3))
    stem = layers.Conv2D(4, 3, activation="relu", name="stem")(inputs)
    outputs = {}
    for name, units in (("kind", 3), ("age", 2)):
        x = layers.Conv2D(5, 3, activation="relu", name=f"{name}_conv")(stem)
        outputs[name] = layers.Dense(units, name=name)(layers.GlobalAveragePooling2D()(x))
    return randomised(keras.Model(inputs, outputs))


def classifier():
    inputs = keras.Input((12, 10, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    return randomised(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))


def both(outputs):
    return outputs["kind"][:, 1] + outputs["age"][:, 0]


DIFFERENCE = kam.targets.Difference(kam.targets.Output("kind", 1), kam.targets.Output("age", 0))
CASES = {
    "one head": (kam.targets.Output("age", 0), "age_conv"),
    "difference of heads": (DIFFERENCE, "stem"),
    "negative": (kam.targets.Negative(DIFFERENCE), "stem"),
    "function": (both, "stem"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_default_layer_leads_to_all_heads_of_the_target(case):
    """Its map is that of the layer by name."""
    model, (target, layer) = two_heads(), CASES[case]
    images = pictures()
    e = kam.explain(model, images, "hirescam", targets=target)
    assert e.layer == layer
    assert e.layer_reason.startswith("deepest layer with space between the input and ")
    chosen = kam.explain(model, images, "hirescam", targets=target, layer=layer)
    np.testing.assert_allclose(e.maps, chosen.maps, rtol=1e-5, atol=1e-7)
    assert chosen.layer_reason is None


def test_the_reason_is_shown_saved_and_kept_by_slices(tmp_path):
    model = classifier()
    e = kam.explain(model, pictures(), "gradcam")
    reason = "deepest layer with space between the input and the output"
    assert (e.layer, e.layer_reason) == ("conv", reason)
    loaded = kam.Explanation.load(e.save(tmp_path / "e.npz"))
    for one in (e, e[1], e[:2], loaded):
        assert one.layer_reason == reason and f"layer='conv' ({reason})" in repr(one)
    assert kam.explain(model, pictures(), "saliency").layer_reason is None


def test_the_output_block_of_a_segmentation_network_is_left_out_and_said():
    inputs = keras.Input((12, 10, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    model = randomised(keras.Model(inputs, layers.Conv2D(2, 1, name="head")(x)))
    e = kam.explain(model, pictures(), "gradcam", targets=lambda y: ops.mean(y[..., 1], axis=(1, 2)))
    assert e.layer == "conv" and e.layer_reason.endswith("the input and the output; the output block is left out")
