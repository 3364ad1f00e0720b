"""A network in ONNX Runtime, explained as a plain function: the maps are those of the same network in Keras."""

import keras
import numpy as np
import pytest
from helpers import QUICK, randomised
from keras import layers

import keras_actmaps as kam

onnx = pytest.importorskip("onnx", reason="onnx, which builds the model, is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(scope="module")
def network():
    inputs = keras.Input((8, 10, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(inputs)
    return randomised(keras.Model(inputs, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))))


@pytest.fixture(scope="module")
def scores(network):
    """The network built by hand in ONNX, as a function of NumPy arrays in Keras' layout."""
    make, numbers = onnx.helper, onnx.numpy_helper.from_array
    kernel, bias = (np.asarray(weight) for weight in network.get_layer("conv").get_weights())
    dense, offset = (np.asarray(weight) for weight in network.get_layer("logits").get_weights())
    nodes = [
        make.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2]),
        make.make_node("Conv", ["first", "kernel", "bias"], ["features"]),
        make.make_node("Relu", ["features"], ["active"]),
        make.make_node("GlobalAveragePool", ["active"], ["means"]),
        make.make_node("Flatten", ["means"], ["pooled"]),
        make.make_node("Gemm", ["pooled", "dense", "offset"], ["logits"]),
    ]
    arrays = {"kernel": kernel.transpose(3, 2, 0, 1), "bias": bias, "dense": dense, "offset": offset}
    graph = make.make_graph(
        nodes,
        "network",
        [make.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 8, 10, 3])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", 4])],
        [numbers(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"images": images})[0]


@pytest.mark.parametrize("method", ["rise", "occlusion", "kernel_shap"])
def test_maps_of_onnx_runtime_are_those_of_keras(network, scores, method):
    images = np.random.default_rng(0).random((3, 8, 10, 3), "float32")
    e, expected = (kam.explain(one, images, method, targets=2, **QUICK[method]) for one in (scores, network))
    np.testing.assert_allclose(e.scores, network.predict(images, verbose=0)[:, 2], rtol=1e-4, atol=1e-5)
    assert np.abs(expected.maps).max() > 0
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())


def test_the_deletion_of_onnx_runtime_is_that_of_keras(network, scores):
    images = np.random.default_rng(1).random((3, 8, 10, 3), "float32")
    e = kam.explain(network, images, "occlusion", **QUICK["occlusion"])
    found, expected = (kam.metrics.deletion(one, images, e, patch=2, steps=5) for one in (scores, network))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
