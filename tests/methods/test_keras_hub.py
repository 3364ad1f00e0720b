"""Transformers of keras-hub with random weights: grids of patches, attention, and all methods that fit."""

import functools

import numpy as np
import pytest
from helpers import QUICK, array, enlarged, randomised
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


@functools.cache
def hierarchical(name):
    """Swin with shifted windows, or MiT, and images."""
    models = keras_hub.models
    if name == "swin":
        settings = {"embed_dim": 8, "depths": (2, 2), "num_heads": (2, 2), "window_size": 4}
        backbone = models.SwinTransformerBackbone(image_shape=(32, 64, 3), **settings)
        model = models.SwinTransformerImageClassifier(backbone, num_classes=3)
    else:
        sizes = {"layerwise_patch_sizes": [7, 3], "layerwise_strides": [4, 2], "layerwise_sr_ratios": [2, 1]}
        depths = {"num_layers": 2, "layerwise_depths": [1, 1], "layerwise_num_heads": [1, 2], "hidden_dims": [8, 16]}
        backbone = models.MiTBackbone(image_shape=(64, 64, 3), max_drop_path_rate=0.1, **sizes, **depths)
        model = models.MiTImageClassifier(backbone, num_classes=3)
    model = randomised(model)
    return model, np.random.default_rng(1).normal(size=(2, *backbone.image_shape)).astype("float32")


@pytest.mark.parametrize("name", ["swin", "mit"])
def test_windows_and_reduced_attention_are_opened(name):
    model, images = hierarchical(name)
    probe = kam.Probe(model)
    found = array(probe.outputs(ops.convert_to_tensor(images)))
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=5e-6)
    assert sum(node.path.endswith("softmax") for node in probe.graph.nodes) == {"swin": 4, "mit": 2}[name]
    changed = next(variable for variable in model.weights if variable.ndim == 2)  # of Swin, biases of positions
    if name == "swin":
        changed = next(one for one in model.weights if one.name == "relative_position_bias_table")
    old = array(changed)
    changed.assign(old + np.random.default_rng(2).normal(size=old.shape))
    after = array(probe.outputs(ops.convert_to_tensor(images)))
    np.testing.assert_allclose(after, model.predict(images, verbose=0), atol=5e-6)
    changed.assign(old)
    assert np.abs(after - found).max() > 1e-4


def test_gradcam_of_merged_tokens_is_that_of_the_pooled_head():
    model, images = hierarchical("swin")
    features = array(model.backbone(images)).reshape(2, 4, 8, 16)  # 4 x 8 tokens after one merge of 8 x 16
    weights = array(model.output_dense.kernel if hasattr(model, "output_dense") else model.layers[-1].kernel)[:, 1] / 32
    expected = enlarged(np.maximum((features * weights).sum(-1), 0), (32, 64))
    e = kam.explain(model, images, "gradcam", targets=1)
    assert e.layer == "swin_transformer_backbone/norm"
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["swin", "mit"])
def test_conservative_propagation_through_windows_is_complete(name):
    model, images = hierarchical(name)
    e = kam.explain(model, images, "lrp", composite="cp")
    assert (np.abs(e.residual) < 1e-5 * np.abs(e.maps).sum((1, 2))).all()


@pytest.mark.parametrize("name", ["swin", "mit"])
def test_attention_methods_say_why_hierarchical_models_do_not_fit(name):
    reasons = kam.supported(hierarchical(name)[0])
    for method in ("attention_rollout", "attention_relevance", "legrad"):
        assert {"swin": "within windows", "mit": "between 256 and 64 tokens"}[name] in reasons[method]


@pytest.mark.parametrize("name", ["swin", "mit"])
def test_methods_at_layers_run_on_merged_tokens(name):
    model, images = hierarchical(name)
    fitting = kam.supported(model).methods
    at_layers = [method for method in fitting if kam.METHODS[method].level == "layer"]
    assert {"gradcam", "layercam", "scorecam", "ablationcam", "eigencam"} <= set(at_layers)
    for method in (*at_layers, "integrated_gradients", "occlusion"):
        maps = kam.explain(model, images, method, **QUICK.get(method, {})).maps
        assert maps.shape == images.shape[:3] and np.isfinite(maps).all(), method
