"""Probe: layers found, questions checked, one program for each shape, the model left as it was."""

import gc
import json
import weakref

import keras
import numpy as np
import pytest
from helpers import gap_network, traced
from keras import layers

import keras_actmaps as kam
from keras_actmaps.methods import explain


def photograph(model, images):
    """All that must not change: weights, configuration and outputs, byte for byte."""
    weights = [weight.tobytes() for weight in model.get_weights()]
    trainable = [layer.trainable for layer in model.layers]
    return weights, json.dumps(model.get_config(), default=repr), trainable, model.predict(images, verbose=0).tobytes()


@pytest.mark.parametrize("settings", [{}, {"activation": "softmax"}, {"softmax_layer": True}])
def test_the_model_is_not_changed(images, settings):
    model = gap_network(**settings)
    before = photograph(model, images)
    for method in ("cam", "gradcam", "saliency"):
        kam.explain(model, images, method, targets="all")
    assert photograph(model, images) == before


def test_weights_that_change_later_show_through(images):
    model = gap_network()
    first = kam.explain(model, images, "saliency", targets=0).maps
    weights = [2 * weight for weight in model.get_weights()]
    model.set_weights(weights)
    twin = gap_network()
    twin.set_weights(weights)
    again = kam.explain(model, images, "saliency", targets=0).maps
    assert again.mean() > 2 * first.mean()
    np.testing.assert_array_equal(again, kam.explain(twin, images, "saliency", targets=0).maps)


def test_an_activation_swapped_later_shows_through(images):
    model = gap_network(activation="softmax")
    before = kam.explain(model, images, targets=0)
    model.get_layer("logits").activation = keras.activations.tanh
    after = kam.explain(model, images, targets=0)
    np.testing.assert_allclose(after.scores, np.tanh(before.scores), rtol=1e-5)


@traced
def test_a_stream_is_traced_once_ragged_end_included():
    model = gap_network()
    images = np.random.default_rng(0).random((1000, 12, 16, 3), "float32")
    probe = kam.Probe(model)
    batches = [images[start : start + 48] for start in range(0, 1000, 48)]
    maps = np.concatenate([e.maps for e in kam.explain_dataset(probe, batches, batch_size=48)])
    assert probe.traces == 1
    np.testing.assert_allclose(maps[-5:], kam.explain(model, images[-5:]).maps, rtol=1e-4, atol=1e-6)


@traced
def test_explaining_a_model_again_compiles_nothing(images):
    model = gap_network()
    kam.explain(model, images)
    probe = explain.as_traced(model, None, None, images)
    kam.explain(model, images[:, ::-1], targets=1)
    assert explain.as_traced(model, None, None, images) is probe
    assert probe.traces == 1


def test_the_cache_keeps_no_model_alive(images):
    model = gap_network()
    kam.explain(model, images)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_layers_by_name_path_number_and_nested_model(images):
    inner = gap_network()
    backbone = keras.Model(inner.inputs, inner.get_layer("features").output, name="backbone")
    inputs = keras.Input((12, 16, 3))
    x = layers.GlobalAveragePooling2D()(backbone(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x), name="outer")
    for layer in (None, "backbone/features", "features", "backbone", 1, -3):
        assert kam.Probe(model, layer).layer == "backbone/features", layer
    assert kam.Probe(model).layers == ["backbone/conv1", "backbone/pool1", "backbone/features"]


def test_the_last_spatial_layer_is_not_a_single_place():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    assert kam.Probe(keras.Model(inputs, layers.Flatten()(x))).layer == "conv"
    thin = keras.Sequential([keras.Input((1, 9, 2)), layers.Conv2D(4, (1, 3), name="conv"), layers.Flatten()])
    assert kam.Probe(thin).layer == "conv"


def test_mixed_precision_is_explained_in_float32(images):
    model = gap_network()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = gap_network()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    e, expected = kam.explain(mixed, images, "saliency"), kam.explain(model, images, "saliency")
    np.testing.assert_allclose(e.maps, expected.maps, rtol=1e-3, atol=1e-6)
    assert mixed.get_layer("conv1").compute_dtype == "float16"


def test_a_model_of_shared_layers_uses_the_last_call(images):
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    inputs = keras.Input((12, 16, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(shared(shared(inputs)))))
    raw = kam.METHODS["cam"](kam.Probe(model, "shared"), images, [1] * 5)
    np.testing.assert_allclose(raw.mean((1, 2)), model.predict(images, verbose=0)[:, 1], atol=1e-6)


BAD = {
    "no spatial layer 'nope' in 'gap_network'; there are: conv1, pool1, features": {"layer": "nope"},
    "no layer 99 in 'gap_network'; it has 6 layers": {"layer": 99},
    "no spatial layer 'gap' in": {"layer": "gap"},
    "no method 'nope'; there are: cam": {"method": "nope"},
    "gradcam has no setting 'steps'": {"steps": 3},
    "no class 4; 'gap_network' has the classes 0 to 3": {"targets": 4},
    "no class -1; 'gap_network'": {"targets": [0, 1, 2, -1, 0]},
    "do not fit 5 images; give integers": {"targets": [0, 1]},
    "type float64 do not fit 5 images": {"targets": [0.5] * 5},
    "no targets 'some'; give": {"targets": "some"},
    "batch_size=0 holds no image": {"batch_size": 0},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_questions_get_one_line(images, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        kam.explain(gap_network(), images, **BAD[message])
    assert message in str(error.value)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[0], "for one image give images[None]"),
        (lambda x: x[:, :8], "images of shape (5, 8, 16, 3) do not fit 'gap_network', which takes (None, 12, 16, 3)"),
        (lambda x: x[..., :1], "do not fit 'gap_network'"),
        (lambda x: np.where(np.arange(5)[:, None, None, None] == 3, np.nan, x), "image 3 holds NaN or Inf"),
        (lambda x: x / np.float32(0), "image 0 holds NaN or Inf"),
        (lambda x: x[:0], "no images"),
        (lambda x: np.full(x.shape, "a"), "are no numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_bad_images_get_one_line(images, change, message):
    with pytest.raises(ValueError) as error:
        kam.explain(gap_network(), change(images))
    assert message in str(error.value)


def test_models_that_cannot_be_asked():
    with pytest.raises(ValueError, match="has no weights yet"):
        kam.Probe(keras.Sequential([layers.Dense(2)]))
    two = [keras.Input((3,)), keras.Input((3,))]
    with pytest.raises(ValueError, match="has 2 inputs; only models of one input"):
        kam.Probe(keras.Model(two, layers.Add()(two)))
    segmenter = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1)])
    with pytest.raises(ValueError, match="are no class scores"):
        kam.explain(segmenter, np.ones((1, 8, 8, 3)))
    maps = kam.explain(segmenter, np.ones((1, 8, 8, 3)), "saliency", targets=lambda y: y[:, 4, 5, 1]).maps
    assert np.flatnonzero(maps).tolist() == [4 * 8 + 5]
    with pytest.raises(TypeError, match="a Keras model or a Probe is needed, not str"):
        kam.Probe("model")


def test_channels_first_images_are_named_with_what_to_do(images):
    with pytest.raises(ValueError, match=r"channels first: give numpy.moveaxis\(images, 1, -1\)"):
        kam.explain(gap_network(), np.moveaxis(images, -1, 1))
