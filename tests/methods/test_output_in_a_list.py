"""Models whose only output is in a list or a dict, as of keras.Model(inputs, outputs=[...])."""

import keras
import numpy as np
import pytest
from helpers import FOR_CONVNETS, QUICK, gap_network

import keras_actmaps as kam
from keras_actmaps.metrics import deletion

IMAGES = np.random.default_rng(0).random((2, 12, 16, 3), "float32")
SOFTMAX, SIGMOID = gap_network(activation="softmax"), gap_network(classes=1, activation="sigmoid")
LISTED = {id(model): keras.Model(model.inputs, model.outputs) for model in (SOFTMAX, SIGMOID)}


@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_maps_targets_and_scores_are_those_of_the_output_itself(method):
    settings = QUICK.get(method, {})
    bare, listed = (kam.explain(model, IMAGES, method, **settings) for model in (SOFTMAX, LISTED[id(SOFTMAX)]))
    np.testing.assert_array_equal(listed.targets, bare.targets)
    np.testing.assert_allclose(listed.scores, bare.scores, rtol=1e-5)
    np.testing.assert_allclose(listed.maps, bare.maps, rtol=1e-4, atol=1e-5 * np.abs(bare.maps).max())


@pytest.mark.parametrize("method", ["gradcam", "cam", "lrp", "occlusion"])
@pytest.mark.parametrize("targets", [None, 0, "all"])
def test_a_single_sigmoid_in_a_list_has_two_classes(method, targets):
    settings = QUICK.get(method, {})
    models = SIGMOID, LISTED[id(SIGMOID)], keras.Model(SIGMOID.inputs, {"head": SIGMOID.output})
    bare, *others = (kam.explain(model, IMAGES, method, targets, **settings) for model in models)
    for other in others:
        np.testing.assert_array_equal(other.targets, bare.targets)
        np.testing.assert_allclose(other.maps, bare.maps, rtol=1e-4, atol=1e-6)


def test_a_function_gets_the_list_and_metrics_take_the_model():
    listed = LISTED[id(SOFTMAX)]
    ours = kam.explain(listed, IMAGES, "saliency", lambda outputs: outputs[0][:, 2])
    bare = kam.explain(SOFTMAX, IMAGES, "saliency", lambda outputs: outputs[:, 2])
    np.testing.assert_allclose(ours.maps, bare.maps, rtol=1e-5)
    e = kam.explain(SOFTMAX, IMAGES, "gradcam")
    np.testing.assert_allclose(deletion(listed, IMAGES, e, steps=4), deletion(SOFTMAX, IMAGES, e, steps=4), rtol=1e-5)
