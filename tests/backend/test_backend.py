"""Backends: gradients of closed forms, one compilation per shape, batches padded to one size."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import ops

from keras_actmaps import backend
from keras_actmaps.backend._recent import MAX_SHAPES
from keras_actmaps.core.batching import padded_batches


def test_gradients_are_those_of_the_summed_scores():
    x, y = ops.array([[1.0, 2.0], [3.0, 4.0]]), ops.array([[5.0, 6.0], [7.0, 8.0]])
    (dx, dy), aux = backend.gradients(lambda x, y: (ops.sum(x**2 * y, axis=1), "kept"), [x, y])
    np.testing.assert_allclose(dx, 2 * x * y)
    np.testing.assert_allclose(dy, x**2)
    assert aux == "kept"


def test_a_score_without_a_gradient_is_an_error():
    with pytest.raises(ValueError, match="does not depend on the input through operations that have a gradient"):
        backend.gradients(lambda x: (ops.cast(ops.argmax(x, axis=1), "float32"), None), [ops.ones((2, 3))])


BACKEND = keras.backend.backend()
XLA = {"tensorflow": [None, False, True], "jax": [None, True], "torch": [None, False]}


@pytest.mark.parametrize("xla", XLA[BACKEND])
def test_one_trace_per_shape_with_and_without_xla(xla):
    program = backend.CompiledFunction(lambda x: ops.sum(ops.sin(x), axis=1), xla=xla)
    for shape in [(2, 3), (2, 3), (4, 3), (2, 3)]:
        values = np.random.default_rng(0).random(shape).astype("float32")
        np.testing.assert_allclose(program(values), np.sin(values).sum(1), rtol=1e-5)
    assert program.traces == (0 if BACKEND == "torch" else 2)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch compiles nothing")
def test_programs_of_many_shapes_are_dropped_again():
    program, kept = backend.CompiledFunction(lambda x: 2 * x), []
    for size in range(1, 41):
        np.testing.assert_array_equal(program(np.full((1, size), 3, "float32")), np.full((1, size), 6))
        kept.append(weakref.ref(list(program._programs.values())[-1]))
    gc.collect()
    assert program.traces == 40
    assert [one() is not None for one in kept] == [False] * (40 - MAX_SHAPES) + [True] * MAX_SHAPES
    program(np.ones((1, 41 - MAX_SHAPES), "float32"))  # the oldest that is kept
    assert program.traces == 40
    program(np.ones((1, 1), "float32"))  # dropped before
    assert program.traces == 41


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch compiles nothing")
def test_threads_share_the_programs_of_many_shapes():
    program = backend.CompiledFunction(lambda x: ops.cumsum(x, axis=1))
    sizes = np.random.default_rng(0).integers(1, 21, 60)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda size: backend.to_numpy(program(np.ones((1, size), "float32"))), sizes))
    for size, values in zip(sizes, found):
        np.testing.assert_array_equal(values, np.arange(1, size + 1)[None])
    assert len(program._programs) <= MAX_SHAPES


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow runs with and without XLA")
def test_an_unsupported_xla_is_an_error():
    with pytest.raises(ValueError, match=f"xla={BACKEND == 'torch'}: "):
        backend.CompiledFunction(ops.sin, xla=BACKEND == "torch")


def test_a_program_reads_the_current_weights():
    weight = keras.Variable([1.0, 2.0])
    program = backend.CompiledFunction(lambda x: x * weight, [weight])
    np.testing.assert_array_equal(program(np.float32([3, 3])), [3, 6])
    weight.assign([5.0, 7.0])
    np.testing.assert_array_equal(program(np.float32([3, 3])), [15, 21])
    assert program.traces <= 1


def test_models_of_other_frameworks_are_an_error():
    with pytest.raises(TypeError, match=r"^model must be a Keras model or a Probe, got int$"):
        backend.check_model(3)
    keras_2 = type("Model", (), {"__module__": "tf_keras.src.engine.training"})()
    with pytest.raises(TypeError, match=f"^Model is a Keras 2 model, and Keras runs on {BACKEND}; a Keras 3 "):
        backend.check_model(keras_2)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras runs on PyTorch")
def test_a_torch_module_needs_keras_on_pytorch():
    module = type("ResNet", (), {"__module__": "torchvision.models.resnet"})
    module = type("Custom", (module, type("Module", (), {"__module__": "torch.nn.modules.module"})), {})()
    with pytest.raises(TypeError, match=rf"^Custom is a PyTorch model, and Keras runs on {BACKEND}; set KERAS_"):
        backend.check_model(module)


def test_the_last_batch_is_padded_with_its_last_row():
    numbers, letters = np.arange(5), np.array(list("abcde"))
    batches = list(padded_batches([numbers, letters], 3))
    assert [real for _, real in batches] == [3, 2]
    assert batches[1][0][0].tolist() == [3, 4, 4] and batches[1][0][1].tolist() == ["d", "e", "e"]


def test_custom_gradients():
    cube = backend.custom_gradient(lambda x: x**3, lambda x, gradients: 10 * x * gradients)
    x = ops.array([1.0, 2.0])
    (gradient,), _ = backend.gradients(lambda x: (2 * cube(x), None), [x])
    np.testing.assert_allclose(gradient, 20 * x)
    np.testing.assert_allclose(cube(x), x**3)


def test_vjp_is_the_transposed_jacobian():
    matrix = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    outputs, back = backend.vjp(lambda x, unused: [ops.matmul(x, matrix)], [ops.ones((2, 3)), ops.ones((1,))])
    cotangent = np.random.default_rng(1).normal(size=(2, 4)).astype("float32")
    x, unused = back([ops.convert_to_tensor(cotangent)])
    np.testing.assert_allclose(x, cotangent @ matrix.T, rtol=1e-5)
    assert outputs[0].shape == (2, 4) and backend.to_numpy(unused).tolist() == [0]
