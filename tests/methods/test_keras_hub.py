"""A vision transformer of keras-hub with random weights: the grid of its patches, its attention, and all methods."""

import functools

import numpy as np
import pytest
from helpers import QUICK, array, randomised
from keras import ops

import keras_actmaps as kam

keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")
METHODS = ("gradcam", "layercam", "attention_rollout", "attention_relevance", "legrad", "integrated_gradients", "rise")


@functools.cache
def network():
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(24, 40, 3), patch_size=(8, 8), num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16
    )
    model = randomised(keras_hub.models.ViTImageClassifier(backbone, num_classes=3))
    return model, np.random.default_rng(0).normal(size=(2, 24, 40, 3)).astype("float32")


def test_the_graph_computes_what_the_model_computes():
    model, images = network()
    probe = kam.Probe(model)
    np.testing.assert_allclose(
        array(probe.outputs(ops.convert_to_tensor(images))), model.predict(images, verbose=0), atol=2e-6
    )
    assert "vit_encoder/transformer_block_1/mha/softmax" in " ".join(node.path for node in probe.graph.nodes)


def test_the_grid_is_read_from_the_convolution_of_the_patches():
    probe = kam.Probe(network()[0])
    assert (probe.grid.shape, probe.grid.prefix, probe.grid.pooled) == ((3, 5), 1, (0,))
    assert probe.layer.endswith("transformer_block_2/ln_1")


def test_the_rollout_is_that_of_the_attention_of_the_blocks():
    model, images = network()
    tokens = model.backbone.layers[1](images)
    rollout = np.eye(16)
    for block in model.backbone.layers[2].encoder_layers:
        normalized = block.layer_norm_1(tokens)
        _, attention = block.mha(normalized, normalized, return_attention_scores=True)
        mixed = array(attention).mean(1) / 2 + np.eye(16) / 2
        rollout, tokens = mixed @ rollout, block(tokens)
    probe = kam.Probe(model)
    found = kam.METHODS["attention_rollout"].function(probe, ops.convert_to_tensor(images), np.zeros(2, "int32"))
    np.testing.assert_allclose(array(found.values).reshape(2, 15), rollout[:, 0, 1:], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_fit_give_finite_maps(method):
    model, images = network()
    assert kam.supported(model)[method] is None
    maps = kam.explain(model, images, method, **QUICK.get(method, {})).maps
    assert maps.shape == (2, 24, 40) and np.isfinite(maps).all() and np.ptp(maps) > 0


def test_conservative_propagation_is_complete():
    model, images = network()
    e = kam.explain(model, images, "lrp", composite="cp")
    assert (np.abs(e.residual) < 1e-5 * np.abs(e.maps).sum((1, 2))).all()  # the scores are near 0
