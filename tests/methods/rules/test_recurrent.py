"""LRP and DeepLIFT through recurrent layers, against the equations of Arras et al. 2017 in NumPy, step by step."""

import keras
import numpy as np
import pytest
from helpers import array, randomised
from keras import layers

import keras_actmaps as kam

T, F, U = 5, 3, 4
EPSILON = 1e-3


def recurrent_network(*recurrent, classes=2, bias=True, mask=False):
    """A network of recurrent layers and Dense, on sequences (5, 3); the biases zero if wanted."""
    inputs = keras.Input((T, F))
    x = layers.Masking()(inputs) if mask else inputs
    for layer in recurrent:
        x = layer(x)
    x = layers.GlobalAveragePooling1D()(x) if len(x.shape) == 3 else x
    model = randomised(keras.Model(inputs, layers.Dense(classes, use_bias=bias, name="logits")(x)))
    for weight in model.weights:
        if weight.name == "bias" and not bias:
            weight.assign(0 * weight)
    return model


def sequences(count=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, T, F)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def share(relevance, z, epsilon=EPSILON):
    return relevance / (z + epsilon * np.where(z < 0, -1.0, 1.0))


def kernel_part(x, W, z, relevance):
    """R_i = sum_j x_i W_ij / (z_j + epsilon) R_j."""
    return x * (W @ share(relevance, z))


def lstm_relevance(x, W, Uh, b, received):
    """Relevance (T, F) of one sequence from that of each output h_t (T, U): gates get none, signals all."""
    h, c, steps = np.zeros(U), np.zeros(U), []
    for now in x.astype("float64"):
        z = now @ W + h @ Uh + b
        i, f, g, o = (z[k * U : (k + 1) * U] for k in range(4))
        new, kept = sigmoid(i) * np.tanh(g), sigmoid(f) * c
        steps.append((now, h, g, new, kept, new + kept))
        c = new + kept
        h = sigmoid(o) * np.tanh(c)
    Wg, Ug = W[:, 2 * U : 3 * U], Uh[:, 2 * U : 3 * U]
    relevance, of_h, of_c = np.zeros((len(x), F)), np.zeros(U), np.zeros(U)
    for t in reversed(range(len(x))):
        now, before, g, new, kept, carry = steps[t]
        of_c = of_c + of_h + received[t]
        of_g, of_c = share(new * of_c, carry), share(kept * of_c, carry)
        relevance[t], of_h = kernel_part(now, Wg, g, of_g), kernel_part(before, Ug, g, of_g)
    return relevance, h


def gru_relevance(x, W, Uh, b, received, reset_after):
    h, steps = np.zeros(U), []
    bi, bh = b if reset_after else (b, 0 * b)
    part = [slice(k * U, (k + 1) * U) for k in range(3)]
    for now in x.astype("float64"):
        z, r = (sigmoid(now @ W[:, k] + bi[k] + h @ Uh[:, k] + bh[k]) for k in part[:2])
        k = part[2]
        inner = h @ Uh[:, k] + bh[k]
        g = now @ W[:, k] + bi[k] + (r * inner if reset_after else (r * h) @ Uh[:, k])
        after = z * h + (1 - z) * np.tanh(g)
        steps.append((now, h, z, r, inner, g, after))
        h = after
    Wg, Ug = W[:, part[2]], Uh[:, part[2]]
    relevance, of_h = np.zeros((len(x), F)), np.zeros(U)
    for t in reversed(range(len(x))):
        now, before, z, r, inner, g, after = steps[t]
        of_h = of_h + received[t]
        of_g, kept = share((1 - z) * np.tanh(g) * of_h, after), share(z * before * of_h, after)
        if reset_after:  # a sum of the inputs' part and the gated part of the state
            of_x, of_state = (share(one * of_g, g) for one in (now @ Wg + bi[part[2]], r * inner))
            relevance[t] = kernel_part(now, Wg, now @ Wg + bi[part[2]], of_x)
            of_h = kept + kernel_part(before, Ug, inner, of_state)
        else:
            relevance[t], of_h = kernel_part(now, Wg, g, of_g), kept + kernel_part(r * before, Ug, g, of_g)
    return relevance, h


def simple_relevance(x, W, Uh, b, received):
    h, steps = np.zeros(U), []
    for now in x.astype("float64"):
        z = now @ W + h @ Uh + b
        steps.append((now, h, z))
        h = np.tanh(z)
    relevance, of_h = np.zeros((len(x), F)), np.zeros(U)
    for t in reversed(range(len(x))):
        now, before, z = steps[t]
        of_h = of_h + received[t]
        relevance[t], of_h = kernel_part(now, W, z, of_h), kernel_part(before, Uh, z, of_h)
    return relevance, h


CELLS = {
    "lstm": (lambda **more: layers.LSTM(U, **more), lstm_relevance),
    "gru": (lambda **more: layers.GRU(U, **more), lambda *a: gru_relevance(*a, reset_after=True)),
    "gru before": (
        lambda **more: layers.GRU(U, reset_after=False, **more),
        lambda *a: gru_relevance(*a, reset_after=False),
    ),
    "simple": (lambda **more: layers.SimpleRNN(U, **more), simple_relevance),
}


def at_outputs(model, h_shape, last, target, pooled):
    """The relevance of each output of the recurrent layer, from that of the logit."""
    W, b = [*model.get_layer("logits").get_weights(), np.zeros(2)][:2]
    read = last.mean(0) if pooled else last[-1]
    score = read @ W[:, target] + b[target]
    of_read = read * W[:, target] * share(score, score)
    received = np.zeros(h_shape)
    if pooled:
        received[:] = last / len(last) * np.where(read == 0, 0, of_read / read)
    else:
        received[-1] = of_read
    return received


@pytest.mark.parametrize("cell", CELLS)
def test_relevance_through_each_step_by_the_equations(cell):
    build, by_hand = CELLS[cell]
    for pooled, backwards in ((False, False), (True, True)):
        model = recurrent_network(build(return_sequences=pooled, go_backwards=backwards, name="rnn"))
        x = sequences()
        weights = [weight.astype("float64") for weight in model.get_layer("rnn").get_weights()]
        e = kam.explain(model, x, "lrp", targets=1, epsilon=EPSILON, channels="keep")
        for row, found in zip(x, e.maps):
            row = row[::-1] if backwards else row
            states = [by_hand(row[: t + 1], *weights, np.zeros((t + 1, U)))[1] for t in range(T)]
            received = at_outputs(model, (T, U), np.array(states), 1, pooled)
            expected, _ = by_hand(row, *weights, received)
            expected = expected[::-1] if backwards else expected
            np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("cell", CELLS)
def test_relevance_is_conserved_without_biases(cell):
    build, _ = CELLS[cell]
    first, second = build(return_sequences=True, use_bias=False), build(use_bias=False)
    model = recurrent_network(first, layers.Bidirectional(second), bias=False)
    e = kam.explain(model, sequences(), "lrp", targets=0, epsilon=0)
    np.testing.assert_allclose(e.maps.sum(1), array(model(sequences()))[:, 0], rtol=1e-3, atol=1e-4)


def unrolled_simple(model, layer):
    """The SimpleRNN of a network as Dense layers on each step in plain layers, and the same head."""
    W, Uh, b = layer.get_weights()
    joined = layers.Dense(U, activation="tanh", name="cell")
    inputs = keras.Input((T, F))
    h = layers.Dense(U, use_bias=False, name="zero")(inputs[:, 0])
    for t in range(T):
        h = joined(layers.Concatenate()([inputs[:, t], h]))
    plain = keras.Model(inputs, layers.Dense(2, name="logits")(h))
    plain.get_layer("zero").set_weights([np.zeros((F, U))])
    plain.get_layer("cell").set_weights([np.concatenate([W, Uh]), b])
    plain.get_layer("logits").set_weights(model.get_layer("logits").get_weights())
    return plain


@pytest.mark.parametrize("method", ["lrp", "deeplift"])
def test_the_same_cell_unrolled_in_plain_layers_has_the_same_map(method):
    model = recurrent_network(layers.SimpleRNN(U, name="rnn"))
    plain = unrolled_simple(model, model.get_layer("rnn"))
    x = sequences()
    e, expected = (kam.explain(one, x, method, targets=1, channels="keep") for one in (model, plain))
    np.testing.assert_allclose(e.scores, expected.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())
    if method == "lrp":
        for rule in ("z+", "gamma"):
            e, expected = (kam.explain(one, x, method, targets=1, rule=rule, channels="keep") for one in (model, plain))
            np.testing.assert_allclose(e.maps, expected.maps, atol=2e-4 * np.abs(expected.maps).max())


STACKS = {
    "lstm": lambda: [layers.LSTM(U)],
    "gru": lambda: [layers.GRU(U, return_sequences=True), layers.GRU(3, reset_after=False)],
    "cells": lambda: [layers.RNN([layers.LSTMCell(U), layers.GRUCell(3)])],
    "concat": lambda: [layers.Bidirectional(layers.LSTM(U, return_sequences=True)), layers.SimpleRNN(3, "relu")],
    "sum": lambda: [layers.Bidirectional(layers.GRU(U), merge_mode="sum")],
    "ave": lambda: [layers.Bidirectional(layers.LSTM(U, return_sequences=True), merge_mode="ave")],
    "mul": lambda: [layers.Bidirectional(layers.LSTM(U), merge_mode="mul")],
}


@pytest.mark.parametrize(("stack", "mask"), [*((stack, False) for stack in STACKS), ("cells", True), ("concat", True)])
def test_deeplift_sums_to_the_difference_of_the_scores(stack, mask):
    model = recurrent_network(*STACKS[stack](), mask=mask)
    x = sequences()
    if mask:
        x[0, 3:], x[1, 1] = 0, 0
    e = kam.explain(model, x, "deeplift", targets=1)
    if not mask:
        difference = array(model(x) - model(0 * x))[:, 1]
        np.testing.assert_allclose(e.maps.sum(1), difference, atol=1e-4)
    assert np.abs(e.residual).max() < 1e-4
    if mask:
        assert not e.maps[0, 3:].any() and e.maps[0, :3].all() and not e.maps[1, 1].any()


@pytest.mark.parametrize("stack", ["cells", "concat"])
def test_masked_steps_are_skipped(stack):
    model = recurrent_network(*STACKS[stack](), mask=True)
    x = sequences(1)
    x[0, 3:] = 0
    short = recurrent_network(*STACKS[stack]())
    short.set_weights(model.get_weights())
    e = kam.explain(model, x, "lrp", targets=1)
    cut = keras.Model(inputs := keras.Input((3, F)), rerun(short, inputs))
    expected = kam.explain(cut, x[:, :3], "lrp", targets=1)
    np.testing.assert_allclose(e.scores, expected.scores, rtol=1e-4)
    np.testing.assert_allclose(e.maps[:, :3], expected.maps, atol=1e-5)
    assert not e.maps[:, 3:].any()


def rerun(model, x):
    for layer in model.layers[1:]:
        x = layer(x)
    return x
