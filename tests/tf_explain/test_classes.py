"""tf-explain's classes on this engine: what they compute, for every kind of model."""

import importlib
import inspect
import sys

import keras
import numpy as np
import pytest
from helpers import gap_network, outside_keras, randomised
from keras import layers
from tf_explain import callbacks as original_callbacks
from tf_explain import core as original

import keras_actmaps as kam
from keras_actmaps.backend import to_numpy
from keras_actmaps.core.cache import as_traced
from keras_actmaps.tf_explain import callbacks, core
from keras_actmaps.tf_explain.explainer import BATCH_SIZE, features_and_gradients
from keras_actmaps.tf_explain.utils.display import grid_display, heatmap_display

EXPLAINERS = {
    "GradCAM": {},
    "OcclusionSensitivity": {"patch_size": 5},
    "VanillaGradients": {},
    "GradientsInputs": {},
    "IntegratedGradients": {"n_steps": 4},
    "SmoothGrad": {"num_samples": 3, "noise": 0.1},
}
COLORED = ("GradCAM", "OcclusionSensitivity")


class Subclassed(keras.Model):
    """gap_network as a subclassed model; with `hidden`, an operation outside Keras prevents tracing."""

    def __init__(self, hidden: bool = False):
        super().__init__(name="subclassed")
        self.hidden = hidden
        self.conv = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")
        self.gap = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(4, name="logits")

    def call(self, images):
        return self.head(self.gap(self.conv(outside_keras(images) if self.hidden else images)))


def subclassed(hidden: bool = False) -> keras.Model:
    model = Subclassed(hidden)
    model(np.zeros((1, 12, 16, 3), "float32"))
    return randomised(model)


def sequential() -> keras.Model:
    parts = [layers.Conv2D(6, 3, activation="relu", name="features"), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    return randomised(keras.Sequential([keras.Input((12, 16, 3)), *parts, layers.Softmax()]))


def nested() -> keras.Model:
    parts = [layers.Conv2D(5, 3, name="first", activation="relu"), layers.Conv2D(6, 3, name="features")]
    backbone = keras.Sequential([keras.Input((12, 16, 3)), *parts], name="backbone")
    images = keras.Input((12, 16, 3))
    outputs = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(backbone(images)))
    return randomised(keras.Model(images, outputs))


MODELS = {"functional": gap_network, "sequential": sequential, "nested": nested, "subclassed": subclassed}


def gray(attributions) -> np.ndarray:
    """The grid of 2 x 2 pictures of attributions (3, H, W, C), by the formula."""
    summed = np.abs(attributions).sum(-1)
    means, deviations = (f(summed, axis=(1, 2), keepdims=True) for f in (np.mean, np.std))
    pictures = np.clip(255 * (summed - means) / deviations, 0, 255)
    rows = np.concatenate(pictures[:2], 1), np.concatenate([pictures[2], 0 * pictures[2]], 1)
    return np.concatenate(rows)


def assert_same_picture(picture, expected) -> None:
    """Equal but for the rounding of a gray level."""
    assert picture.dtype == np.uint8
    np.testing.assert_allclose(picture.astype(float), expected, atol=1.01)


@pytest.mark.parametrize("kind", MODELS)
def test_every_explainer_gives_the_maps_of_kam_explain_on_every_kind_of_model(images, kind):
    model, images = MODELS[kind](), images[:3]

    def maps(method, **settings):
        return kam.explain(model, images, method, targets=2, **settings).maps

    def colored(maps):
        return grid_display(np.stack([heatmap_display(one, image) for one, image in zip(maps, images)]))

    data = (images, None)
    assert_same_picture(core.VanillaGradients().explain(data, model, 2), gray(maps("saliency", channels="keep")))
    assert_same_picture(core.GradientsInputs().explain(data, model, 2), gray(maps("gradient_x_input", channels="keep")))
    ig = maps("integrated_gradients", steps=7, channels="keep")
    assert_same_picture(core.IntegratedGradients().explain(data, model, 2, n_steps=7), gray(ig))
    drops = maps("occlusion", patch=4, stride=4, fill=0.5)
    assert_same_picture(core.OcclusionSensitivity().explain(data, model, 2, 4), colored(drops))
    gradcam = core.GradCAM().explain(data, model, 2, use_guided_grads=False)
    assert_same_picture(gradcam, colored(maps("gradcam")))


def test_smoothgrad_is_the_mean_gradient_of_the_logit_at_noisy_images(images):
    model, images = gap_network(activation="softmax"), images[:3]
    np.random.seed(3)
    noise = np.random.normal(0, 0.2, (3 * 50, 12, 16, 3)).reshape(3, 50, 12, 16, 3)
    noisy = (images[:, None] + noise).reshape(-1, 12, 16, 3).astype("float32")
    each = kam.explain(model, noisy, "saliency", targets=1, channels="keep").maps
    np.random.seed(3)
    found = core.SmoothGrad().explain((images, None), model, 1, num_samples=50, noise=0.2)
    assert_same_picture(found, gray(each.reshape(3, 50, 12, 16, 3).mean(1)))


@pytest.mark.parametrize("guided", [False, True])
def test_gradcam_weights_features_by_mean_gradients_which_guiding_gates(images, guided):
    model = gap_network(softmax_layer=True)
    features = keras.Model(model.inputs, model.get_layer("features").output).predict(images, verbose=0)
    gradients = np.broadcast_to(model.get_layer("logits").kernel[:, 3] / features[0, ..., 0].size, features.shape)
    gated = gradients * (features > 0) * (gradients > 0) if guided else gradients
    expected = np.maximum((gated.mean((1, 2), keepdims=True) * features).sum(-1), 0)
    explainer = core.GradCAM()
    pair = explainer.get_gradients_and_filters(model, images, "features", 3, guided)
    np.testing.assert_allclose(pair[0], features, atol=1e-5)
    np.testing.assert_allclose(pair[1], gated, atol=1e-6)
    np.testing.assert_allclose(explainer.generate_ponderated_output(*pair), expected, atol=1e-6)


def test_activations_are_the_feature_maps_image_by_image_scaled_to_0_255(images):
    model, images = gap_network(), images[:3]
    features = keras.Model(model.inputs, model.get_layer("features").output).predict(images, verbose=0)
    grid = core.ExtractActivations().explain((images, None), model, ["features"])
    assert grid.shape == (5 * 6, 5 * 8) and (grid.min(), grid.max()) == (0, 255)  # 24 maps on a 5 x 5 grid
    expected = features[1, ..., 3] / features.max() * 255  # the 12th map: image 1, channel 3
    assert_same_picture(grid[2 * 6 : 3 * 6, 1 * 8 : 2 * 8], expected)


def test_negative_activations_are_drawn(images):
    model, images = nested(), images[:1]
    (features,) = kam.feature_maps(model, images, "features").values()
    grid = core.ExtractActivations().explain((images, None), model, "features")
    lowest, highest = min(features.min(), 0), features.max()  # 6 maps on a 3 x 3 grid, whose empty cells are 0
    assert lowest < 0
    assert_same_picture(grid[:8, :12], (features[0, ..., 0] - lowest) / (highest - lowest) * 255)


def test_activations_of_several_layers_have_one_size(images):
    model, one = gap_network(), images[:1]
    maps = kam.feature_maps(model, one, ["conv1", "features"])
    grid = core.ExtractActivations(batch_size=2).explain((one, None), model, ["conv1", "features"])
    highest = max(part.max() for part in maps.values())
    assert grid.shape == (4 * 12, 4 * 16)  # 6 + 8 maps on a 4 x 4 grid
    assert_same_picture(grid[:12, 16:32], maps["conv1"][0, ..., 1] / highest * 255)
    last = np.repeat(np.repeat(maps["features"][0, ..., 7], 2, 0), 2, 1)
    assert_same_picture(grid[36:, 16:32], last / highest * 255)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_each_image_may_have_its_own_class_and_none_is_the_predicted_class(name):
    model = gap_network()
    images = np.concatenate([np.zeros((1, 12, 16, 3)), np.full((1, 12, 16, 3), 3)]).astype("float32")
    images += np.random.default_rng(0).random(images.shape) / 2
    model.layers[-1].bias.assign(model.layers[-1].bias - model.predict(images, verbose=0).mean(0))
    predicted = model.predict(images, verbose=0).argmax(1)
    assert predicted[0] != predicted[1]

    def pictures(target):
        np.random.seed(0)
        settings = {**EXPLAINERS[name], "noise": 3.0} if name == "SmoothGrad" else EXPLAINERS[name]
        grid = getattr(core, name)().explain((list(images), None), model, target, **settings)
        return grid[:12, :16], grid[:12, 16:]

    first, second = pictures(predicted[0])[0], pictures(predicted[1])[1]
    for target in (None, predicted):
        np.testing.assert_array_equal(pictures(target)[0], first)
        np.testing.assert_array_equal(pictures(target)[1], second)
    assert (pictures(predicted[0])[1] != second).any()


def test_an_inner_layer_of_a_model_that_cannot_be_traced_is_an_error(images):
    model = subclassed(hidden=True)
    with pytest.raises(ValueError, match="the layers of 'subclassed' are not known"):
        core.GradCAM().explain((images, None), model, 0, layer_name="features")
    with pytest.raises(ValueError, match="the layers of 'subclassed' are not known"):
        core.ExtractActivations().explain((images, None), model, ["features"])
    for name in EXPLAINERS.keys() - {"GradCAM"}:
        grid = getattr(core, name)().explain((images[:1], None), model, 0, **EXPLAINERS[name])
        assert grid.shape[:2] == (12, 16) and np.ptp(grid) > 0


def test_an_unknown_layer_is_an_error_with_the_choices(images):
    with pytest.raises(ValueError, match="no spatial layer 'conv9' in 'gap_network'; choices: conv1, pool1, features"):
        core.GradCAM().explain((images, None), gap_network(), 0, layer_name="conv9")


def parameters(function) -> list[tuple]:
    """The parameters of a function without their annotations."""
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


def test_the_classes_are_subclasses_with_tf_explains_arguments_and_defaults():
    for ours, theirs in ((core, original), (callbacks, original_callbacks)):
        assert ours.__all__ == sorted(theirs.__all__)
        for name in theirs.__all__:
            own, upstream = getattr(ours, name), getattr(theirs, name)
            assert issubclass(own, upstream) and own is not upstream
            *shared, added = parameters(own)
            assert added == ("compatible", inspect.Parameter.KEYWORD_ONLY, None) and shared == parameters(upstream)
            if ours is core:
                assert parameters(own.explain) == parameters(upstream.explain)
    assert isinstance(core.GradientsInputs(), core.VanillaGradients)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_the_model_is_not_changed(images, name):
    model = gap_network(activation="softmax")
    before = [weight.numpy().copy() for weight in model.weights]
    getattr(core, name)().explain((images[:1], None), model, 0, **EXPLAINERS[name])
    assert model.layers[-1].activation is keras.activations.softmax
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("name", EXPLAINERS)
@pytest.mark.parametrize("shape", [(12, 16, 1), (16, 12, 3)])
def test_gray_images_and_both_orientations_are_drawn(name, shape):
    images = np.random.default_rng(0).random((2, *shape), "float32")
    grid = getattr(core, name)().explain((images, None), gap_network(shape), 1, **EXPLAINERS[name])
    assert grid.shape == (2 * shape[0], 2 * shape[1]) + ((3,) if name in COLORED else ())
    assert np.ptp(grid) > 0


def test_without_tf_explain_or_on_another_backend_the_error_says_what_to_do(monkeypatch):
    loaded = [name for name in sys.modules if name.startswith("keras_actmaps.tf_explain")]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tf_explain", None)
    with pytest.raises(ImportError, match=r"pip install keras_actmaps\[tf-explain\]"):
        importlib.import_module("keras_actmaps.tf_explain")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="Keras runs on jax; set KERAS_BACKEND=tensorflow"):
        importlib.import_module("keras_actmaps.tf_explain")


def test_features_and_gradients_of_a_target_with_data_of_each_image_beyond_one_batch():
    """With a head of one linear layer per pixel, the gradient is the mask of the image times the kernel."""
    inputs = keras.Input((4, 5, 3))
    features = layers.Conv2D(2, 3, padding="same", name="features")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="head")(features))
    random = np.random.default_rng(0)
    images, masks = random.random((BATCH_SIZE + 5, 4, 5, 3), "float32"), random.random((BATCH_SIZE + 5, 4, 5))
    found, gradients = features_and_gradients(as_traced(model, "features"), images, kam.targets.Region(1, masks))
    kernel = np.asarray(model.get_layer("head").get_weights()[0])
    np.testing.assert_allclose(to_numpy(gradients), masks[..., None] * kernel[:, 1], rtol=1e-5, atol=1e-6)
    expected = keras.Model(inputs, features).predict(images, verbose=0)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-4, atol=1e-5)
