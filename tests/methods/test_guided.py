"""Guided backpropagation, deconvnet and guided Grad-CAM against published numbers and numbers computed by hand."""

import keras
import numpy as np
import pytest
from helpers import captum_network, enlarged, randomised, raw_maps
from keras import layers, ops

import keras_actmaps as kam

GUIDED = [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]]
DECONVNET = [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]]
METHODS = ("guided_backprop", "deconvnet")


@pytest.mark.parametrize(("method", "published"), [("guided_backprop", GUIDED), ("deconvnet", DECONVNET)])
def test_the_one_convolution_network_of_captum(method, published):
    """Captum's tests test_guided_backprop.py and test_deconvolution.py."""
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(kam.explain(captum_network(), images, method, targets=0).maps[0], published)


RELUS = {
    "layer": lambda x: layers.ReLU()(x),
    "activation layer": lambda x: layers.Activation("relu")(x),
    "operation": lambda x: ops.relu(x),
    "activation operation": lambda x: keras.activations.relu(x),
    "relu6": lambda x: layers.ReLU(max_value=0.5)(x),
    "relu6 operation": lambda x: keras.activations.relu(x, max_value=0.5),
    "leaky": lambda x: layers.LeakyReLU(negative_slope=0.25)(x),
    "leaky relu": lambda x: layers.ReLU(negative_slope=0.25)(x),
    "leaky operation": lambda x: ops.leaky_relu(x, negative_slope=0.25),
    "threshold": lambda x: layers.ReLU(threshold=0.2)(x),
    "attribute": None,
    "nested attribute": None,
}


def slope(form, z):
    """The derivative of the ReLU, by hand."""
    if "relu6" in form:
        return 1.0 * ((z > 0) & (z < 0.5))
    if "leaky" in form:
        return np.where(z > 0, 1, 0.25)
    return 1.0 * (z > (0.2 if form == "threshold" else 0))


@pytest.mark.parametrize("form", RELUS)
def test_relu_in_any_form(form):
    inputs = keras.Input((6,))
    relu, attribute = RELUS[form], "relu" if "attribute" in form else None
    x = layers.Dense(8, activation=attribute, name="a")(inputs)
    x = layers.Dense(7, activation=attribute, name="b")(x if attribute else relu(x))
    x = layers.Dense(5, activation="tanh", name="c")(x if attribute else relu(x))
    outputs = layers.Dense(3, name="logits")(x)
    model = randomised(keras.Model(inputs, outputs))
    by_name = {name: [w.astype("float64") for w in model.get_layer(name).get_weights()] for name in "abc"}
    head = model.get_layer("logits").get_weights()[0][:, 1]
    if form.startswith("nested"):
        model = keras.Sequential([keras.Input((6,)), model])
    rows = np.random.default_rng(2).normal(size=(4, 6)).astype("float32")

    def value(z):
        return np.minimum(np.maximum(z, 0), 0.5) if "relu6" in form else z * slope(form, z)

    a = rows @ by_name["a"][0] + by_name["a"][1]
    b = value(a) @ by_name["b"][0] + by_name["b"][1]
    c = value(b) @ by_name["c"][0] + by_name["c"][1]
    for method in METHODS:
        g = (head * (1 - np.tanh(c) ** 2)) @ by_name["c"][0].T  # other activations keep their gradient
        g = np.maximum(g, 0) * (slope(form, b) if method == "guided_backprop" else 1)
        g = np.maximum(g @ by_name["b"][0].T, 0) * (slope(form, a) if method == "guided_backprop" else 1)
        found = kam.explain(model, rows, method, targets=1, channels="keep").maps
        np.testing.assert_allclose(found, g @ by_name["a"][0].T, rtol=1e-4, atol=1e-5)


def test_relu6_of_mobilenet_and_attributes_of_vgg_are_found():
    """All ReLUs are replaced, by operations that differ from the layers."""
    from keras_actmaps.methods.rules.relu import guided_relu, with_relu

    for build, count in ((keras.applications.MobileNetV2, 35), (keras.applications.VGG16, 13)):
        model = build(weights=None, include_top=False, input_shape=(32, 32, 3))
        graph = kam.Probe(model).graph
        nodes = with_relu(graph, guided_relu, model.name, "guided_backprop")
        operations = {node.operation for node in graph.nodes}
        replaced = [node for node in nodes if not isinstance(node.operation, keras.Operation)]
        assert len(replaced) == count and not operations & {node.operation for node in replaced}


@pytest.mark.parametrize("method", [*METHODS, "guided_gradcam"])
def test_no_relu_is_an_error_that_names_the_activations(method):
    model = keras.applications.EfficientNetB0(weights=None, classes=3, input_shape=(32, 32, 3))
    message = f"{method} changes the gradient of ReLU, and 'efficientnetb0' has none; its activations: silu, sigmoid"
    with pytest.raises(ValueError, match=message):
        kam.explain(model, np.zeros((1, 32, 32, 3)), method)


@pytest.mark.parametrize("channels", ["keep", "sum", "abs_max", "max"])
def test_guided_gradcam_is_the_product(images, channels):
    inputs = keras.Input(images.shape[1:])
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="features")(inputs)
    model = randomised(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    edges = kam.explain(model, images, "guided_backprop", targets=2, channels="keep").maps
    region = raw_maps("gradcam", model, images, [2] * len(images))
    region = enlarged(region, images.shape[1:3])[..., None]
    product = edges * region
    strongest = np.abs(product).max(-1)
    reduced = {"keep": product, "sum": product.sum(-1), "abs_max": strongest, "max": strongest}
    expected = reduced[channels]
    found = kam.explain(model, images, "guided_gradcam", targets=2, channels=channels).maps
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(ValueError, match=r"^channels must be 'sum', 'abs_max', 'norm', 'max' or 'keep', got 'mean'$"):
        kam.explain(model, images, "guided_gradcam", channels="mean")
