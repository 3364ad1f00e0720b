"""The engine: gradients of closed forms, one trace a shape, batches padded to one size."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_actmaps import engine


def test_gradients_are_those_of_the_summed_scores():
    x, y = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([[5.0, 6.0], [7.0, 8.0]])
    (dx, dy), anything = engine.gradients(lambda x, y: (ops.sum(x**2 * y, axis=1), "kept"), [x, y])
    np.testing.assert_allclose(dx, 2 * x * y)
    np.testing.assert_allclose(dy, x**2)
    assert anything == "kept"


def test_a_score_without_a_gradient_is_an_error():
    with pytest.raises(ValueError, match="does not depend on the input through operations that have a gradient"):
        engine.gradients(lambda x: (ops.cast(ops.argmax(x, axis=1), "float32"), None), [tf.ones((2, 3))])


@pytest.mark.parametrize("xla", [False, True])
def test_one_trace_a_shape_with_and_without_xla(xla):
    program = engine.compiled(lambda x: ops.sum(ops.sin(x), axis=1), xla)
    for shape in [(2, 3), (2, 3), (4, 3), (2, 3)]:
        values = np.random.default_rng(0).random(shape).astype("float32")
        np.testing.assert_allclose(program(values), np.sin(values).sum(1), rtol=1e-5)
    assert program.traces == 2


def test_the_last_batch_is_padded_with_its_last_row():
    numbers, letters = np.arange(5), np.array(list("abcde"))
    batches = list(engine.batches([numbers, letters], 3))
    assert [real for _, real in batches] == [3, 2]
    assert batches[1][0][0].tolist() == [3, 4, 4] and batches[1][0][1].tolist() == ["d", "e", "e"]


def test_a_pass_with_its_own_backward_rule():
    cube = engine.with_backward(lambda x: x**3, lambda x, gradients: 10 * x * gradients)
    x = tf.constant([1.0, 2.0])
    (gradient,), _ = engine.gradients(lambda x: (2 * cube(x), None), [x])
    np.testing.assert_allclose(gradient, 20 * x)
    np.testing.assert_allclose(cube(x), x**3)


def test_pullback_is_the_transposed_jacobian():
    matrix = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    outputs, back = engine.pullback(lambda x, unused: [ops.matmul(x, matrix)], [tf.ones((2, 3)), tf.ones((1,))])
    cotangent = np.random.default_rng(1).normal(size=(2, 4)).astype("float32")
    x, unused = back([tf.constant(cotangent)])
    np.testing.assert_allclose(x, cotangent @ matrix.T, rtol=1e-5)
    assert outputs[0].shape == (2, 4) and unused.numpy().tolist() == [0]
