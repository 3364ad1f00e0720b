"""The residual: what the values of an input sum to, less what they should, however channels are reduced."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, randomised
from keras import layers

import keras_actmaps as kam

FEW = {
    "fullgrad": {},
    "excitation_backprop": {},
    "conductance": {"steps": 2},
    "lrp": {},
    "integrated_gradients": {"steps": 2},
    "idgi": {"steps": 2},
    "guided_ig": {"steps": 2},
    "blur_ig": {"steps": 2},
    "expected_gradients": {"samples": 3},
    "gradient_shap": {"samples": 3},
    "deeplift": {},
    "deeplift_shap": {"samples": 3},
    "kernel_shap": {"samples": 30, "cells": 3},
    "shapley_sampling": {"permutations": 2, "cells": 3},
}
WITH_CHANNELS = [name for name in FEW if kam.METHODS[name].reduction]


def test_the_methods_with_a_residual_are_those_that_promise_a_sum():
    assert {name for name, method in kam.METHODS.items() if method.total} == set(FEW)


@pytest.mark.parametrize("channels", ["abs_max", "max", "keep"])
@pytest.mark.parametrize("name", WITH_CHANNELS)
def test_the_residual_does_not_depend_on_the_reduction_of_channels(name, channels, images):
    model = gap_network()
    summed = kam.explain(model, images, name, channels="sum", **FEW[name])
    other = kam.explain(model, images, name, channels=channels, **FEW[name])
    assert summed.residual.shape == (5,) and summed.residual.dtype == np.float32
    bound = 1e-5 * np.abs(summed.scores).max()
    np.testing.assert_allclose(other.residual, summed.residual, atol=bound)
    if name in ("lrp", "integrated_gradients", "blur_ig", "expected_gradients"):  # not exact with so few steps
        assert np.abs(summed.residual).max() > 10 * bound


@pytest.mark.parametrize("channels", ["sum", "abs_max", "keep"])
def test_the_residual_is_the_sum_less_what_it_should_be(channels, images):
    model, targets = gap_network(), np.array([0, 1, 2, 3, 1])
    scores, black = (array(model(x))[np.arange(5), targets] for x in (images, 0 * images))
    for name, total in (("lrp", scores), ("integrated_gradients", scores - black), ("deeplift", scores - black)):
        kept = kam.explain(model, images, name, targets, channels="keep", **FEW[name]).maps
        e = kam.explain(model, images, name, targets, channels=channels, **FEW[name])
        np.testing.assert_allclose(e.residual, kept.sum((1, 2, 3)) - total, atol=2e-5 * np.abs(scores).max())


@pytest.mark.parametrize("name", FEW)
def test_there_is_one_residual_for_each_target(name, images):
    model = gap_network()
    e = kam.explain(model, images, name, targets=[[0, 2]] * 5, **FEW[name])
    assert e.residual.shape == (5, 2)
    for place, target in enumerate((0, 2)):
        alone = kam.explain(model, images, name, targets=target, **FEW[name])
        np.testing.assert_allclose(e.residual[:, place], alone.residual, atol=1e-5 * np.abs(e.scores).max())


def test_functions_as_targets_have_a_residual(images):
    model = gap_network()
    one, two = (kam.explain(model, images, "lrp", targets=target, channels="abs_max").residual for target in (0, 2))
    e = kam.explain(model, images, "lrp", targets=lambda outputs: outputs[:, 0] - outputs[:, 2], channels="abs_max")
    np.testing.assert_allclose(e.residual, one - two, atol=1e-4 * np.abs(one).max())


def test_tables_have_a_residual_with_any_reduction():
    inputs = keras.Input((6,))
    model = randomised(keras.Model(inputs, layers.Dense(2)(layers.Dense(5, activation="tanh")(inputs))))
    rows = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    for channels in ("sum", "abs_max", "keep"):
        e = kam.explain(model, rows, "integrated_gradients", targets=1, steps=1, channels=channels)
        signed = kam.explain(model, rows, "integrated_gradients", targets=1, steps=1).maps
        gain = array(model(rows))[:, 1] - array(model(0 * rows))[:, 1]
        np.testing.assert_allclose(e.residual, signed.sum(1) - gain, atol=1e-5)


def test_a_method_that_promises_no_sum_has_no_residual(images):
    for name in ("gradcam", "saliency", "occlusion"):
        assert kam.explain(gap_network(), images, name).residual is None
