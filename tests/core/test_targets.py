"""Targets: scores by hand, plain functions on the model's own outputs, no compilation for an equal target."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, gradient_of, traced
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import targets


def logits_of(model, images):
    twin = gap_network()
    twin.set_weights(model.get_weights())
    return twin, twin.predict(images, verbose=0)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_targets_score_logits(images, activation):
    model = gap_network(activation=activation)
    twin, logits = logits_of(model, images)
    cases = {
        targets.Class(2): logits[:, 2],
        targets.Difference(1, 3): logits[:, 1] - logits[:, 3],
        targets.Negative(0): -logits[:, 0],
        targets.Negative(targets.Difference(1, 3)): logits[:, 3] - logits[:, 1],
        targets.Output(index=1): logits[:, 1],
        targets.Mean(): logits.mean(1),
        targets.Similarity([1, 0, 2, -1]): logits @ [1, 0, 2, -1] / np.linalg.norm(logits, axis=1) / np.sqrt(6),
    }
    for target, expected in cases.items():
        e = kam.explain(model, images, "saliency", targets=target, channels="keep")
        np.testing.assert_allclose(e.scores, expected, rtol=1e-4, atol=1e-5)
        assert e.targets is None
    difference = kam.explain(model, images, "saliency", targets=targets.Difference(1, 3), channels="keep").maps
    expected = gradient_of(lambda x: twin(x)[:, 1] - twin(x)[:, 3], images)
    np.testing.assert_allclose(difference, expected, atol=1e-5 * np.abs(expected).max())


def test_a_function_is_called_on_the_outputs_as_the_model_returns_them(images):
    model = gap_network(activation="softmax")
    e = kam.explain(model, images, "saliency", targets=lambda outputs: outputs[:, 1], channels="keep")
    np.testing.assert_allclose(e.scores, model.predict(images, verbose=0)[:, 1], rtol=1e-4)
    expected = gradient_of(lambda x: model(x)[:, 1], images)
    np.testing.assert_allclose(e.maps, expected, atol=1e-4 * np.abs(expected).max())


def test_several_outputs_by_name():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, {"kind": layers.Dense(3, "softmax")(inputs), "size": layers.Dense(1)(inputs)})
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    e = kam.explain(model, rows, "saliency", targets=targets.Output("size", 0), channels="keep")
    np.testing.assert_allclose(e.scores, model.predict(rows, verbose=0)["size"][:, 0], rtol=1e-5)
    np.testing.assert_allclose(e.maps, np.tile(array(model.layers[-1].kernel)[:, 0], (4, 1)), rtol=1e-5)
    with pytest.raises(ValueError, match="output 'sise' does not exist; choices: kind, size"):
        kam.explain(model, rows, "saliency", targets=targets.Output("sise", 0))
    with pytest.raises(ValueError, match="index=7 is outside output 'kind'"):
        kam.explain(model, rows, "saliency", targets=targets.Output("kind", 7))


def test_bad_targets_get_one_line(images):
    for target, message in (
        (targets.Class(4), "class 4 does not exist; there are classes 0 to 3"),
        (targets.Similarity([1, 2]), "an embedding of shape .2,. does not fit outputs of shape .4,."),
    ):
        with pytest.raises(ValueError, match=message):
            kam.explain(gap_network(), images, "saliency", targets=target)


@traced
def test_an_equal_target_compiles_nothing(images):
    probe = kam.Probe(gap_network())
    for _ in range(3):
        kam.explain(probe, images, "saliency", targets=targets.Difference(0, 1))
    assert probe.traces == 1
    kam.explain(probe, images, "saliency", targets=targets.Difference(0, 2))
    assert probe.traces == 2


def test_a_single_sigmoid_has_two_classes(images):
    inputs = keras.Input((12, 16, 3))
    model = keras.Model(
        inputs, layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(inputs)))
    )
    one, other = (kam.explain(model, images, "saliency", targets=targets.Class(side)).scores for side in (0, 1))
    np.testing.assert_allclose(one, -other)
    probability = array(ops.convert_to_tensor(model.predict(images, verbose=0)))[:, 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-other)), probability, rtol=1e-4)


@pytest.mark.parametrize("name", [0, "logits"])
def test_a_named_output_of_a_model_with_one_output_is_an_error(name):
    with pytest.raises(ValueError, match=f"^output {name!r} does not exist; the model has one output"):
        kam.explain(gap_network(), np.zeros((2, 12, 16, 3)), "saliency", targets=kam.targets.Output(name, 0))


@pytest.mark.parametrize("value", [None, 1.0])
def test_a_function_without_a_score_per_input_is_an_error(value):
    with pytest.raises(ValueError, match=rf"must return one score per input, of shape \(2,\), got {value}$"):
        kam.explain(gap_network(), np.zeros((2, 12, 16, 3)), "saliency", targets=lambda outputs: value)
