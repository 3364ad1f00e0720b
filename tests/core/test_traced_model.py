"""TracedModel: finding layers, refusing bad arguments, one program per shape, and a model that is not changed."""

import gc
import json
import pickle
import weakref

import cloudpickle
import keras
import numpy as np
import pytest
from helpers import gap_network, raw_maps, traced
from keras import layers

import keras_actmaps as kam
from keras_actmaps.core import programs
from keras_actmaps.core.cache import as_traced


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
    probe = as_traced(model, inputs=images)
    kam.explain(model, images[:, ::-1], targets=1)
    assert as_traced(model, inputs=images) is probe
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
    raw = raw_maps("cam", model, images, [1] * 5, "shared")
    np.testing.assert_allclose(raw.mean((1, 2)), model.predict(images, verbose=0)[:, 1], atol=1e-6)


BAD = {
    "no spatial layer 'nope' in 'gap_network'; choices: conv1, pool1, features": {"layer": "nope"},
    "no layer 99 in 'gap_network'; it has 6 layers": {"layer": 99},
    "no spatial layer 'gap' in": {"layer": "gap"},
    "method must be one of cam, gradcam": {"method": "nope"},
    "gradcam has no setting 'steps'": {"steps": 3},
    "class 4 does not exist; 'gap_network' has classes 0 to 3": {"targets": 4},
    "class -1 does not exist; 'gap_network'": {"targets": [0, 1, 2, -1, 0]},
    "do not fit 5 inputs; pass integers": {"targets": [0, 1]},
    "type float64 do not fit 5 inputs": {"targets": [0.5] * 5},
    "'all' or a function of the outputs, got 'some'": {"targets": "some"},
    "batch_size must be an integer >= 1 and <= 1,000,000, got 0": {"batch_size": 0},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments_get_one_line(images, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        kam.explain(gap_network(), images, **BAD[message])
    assert message in str(error.value)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[0], "for a single image pass image[None]"),
        (lambda x: x[:, :8], "inputs of shape (5, 8, 16, 3) do not fit 'gap_network', which takes (None, 12, 16, 3)"),
        (lambda x: x[..., :1], "do not fit 'gap_network'"),
        (lambda x: np.where(np.arange(5)[:, None, None, None] == 3, np.nan, x), "input 3 contains NaN or Inf"),
        (lambda x: x / np.float32(0), "input 0 contains NaN or Inf"),
        (lambda x: x[:0], "there are no inputs"),
        (lambda x: np.full(x.shape, "a"), "are not numeric"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_bad_inputs_get_one_line(images, change, message):
    with pytest.raises(ValueError) as error:
        kam.explain(gap_network(), change(images))
    assert message in str(error.value)


def test_models_that_cannot_be_explained():
    with pytest.raises(ValueError, match="has no weights yet"):
        kam.Probe(keras.Sequential([layers.Dense(2)]))
    two = [keras.Input((None, 3), name="first"), keras.Input((None, 3))]
    with pytest.raises(ValueError, match=r"input 'first' of .* has unknown sizes .None, 3.; pass `shape` to Probe"):
        kam.Probe(keras.Model(two, layers.Add()(two)))
    segmenter = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1)])
    with pytest.raises(ValueError, match="are not class scores"):
        kam.explain(segmenter, np.ones((1, 8, 8, 3)))
    maps = kam.explain(segmenter, np.ones((1, 8, 8, 3)), "saliency", targets=lambda y: y[:, 4, 5, 1]).maps
    assert np.flatnonzero(maps).tolist() == [4 * 8 + 5]
    with pytest.raises(TypeError, match="model must be a Keras model or a Probe, got str"):
        kam.Probe("model")


def test_channels_first_inputs_get_advice(images):
    with pytest.raises(ValueError, match=r"channels come first: pass numpy.moveaxis\(images, 1, -1\)"):
        kam.explain(gap_network(), np.moveaxis(images, -1, 1))


def test_a_pickled_traced_model_compiles_again_and_gives_the_same_maps(images):
    traced_model = kam.Probe(gap_network(), "conv1")
    expected = kam.explain(traced_model, images, targets=1)
    for dumps, loads in ((pickle.dumps, pickle.loads), (cloudpickle.dumps, cloudpickle.loads)):
        restored = loads(dumps(traced_model))
        assert (restored.layer, restored.traces) == ("conv1", 0)
        np.testing.assert_allclose(kam.explain(restored, images, targets=1).maps, expected.maps, rtol=1e-6)


def test_programs_of_function_targets_are_bounded(images, monkeypatch):
    monkeypatch.setattr(programs, "MAX_PROGRAMS", 4)
    probe = kam.Probe(gap_network())
    for number in range(7):
        e = kam.explain(probe, images[:1], "saliency", targets=lambda y, number=number: y[:, 0] * (number + 1))
        assert e.scores.shape == (1,)
    assert len(probe._programs) == 4
    if keras.backend.backend() != "torch":
        assert probe.traces == 7


def test_xla_and_precision_of_a_probe_are_not_overridden(images):
    with pytest.raises(ValueError, match="precision='tf32', but the Probe was made for precision='float32'"):
        kam.explain(kam.Probe(gap_network()), images, precision="tf32")
