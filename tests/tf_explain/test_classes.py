"""tf-explain's classes on this engine: what they compute, for every kind of model, and how they draw it."""

import importlib
import inspect
import sys

import cv2
import keras
import numpy as np
import pytest
from helpers import gap_network, outside_keras, randomised
from keras import layers
from tf_explain import callbacks as original_callbacks
from tf_explain import core as original

import keras_actmaps as kam
from keras_actmaps.tf_explain import callbacks, core
from keras_actmaps.tf_explain.utils.display import grid_display, heatmap_display, image_to_uint_255
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale

EXPLAINERS = {
    "GradCAM": {},
    "OcclusionSensitivity": {"patch_size": 5},
    "VanillaGradients": {},
    "GradientsInputs": {},
    "IntegratedGradients": {"n_steps": 4},
    "SmoothGrad": {"num_samples": 3, "noise": 0.1},
}
COLOURED = ("GradCAM", "OcclusionSensitivity")


class Subclassed(keras.Model):
    """gap_network as a subclassed model; an operation outside Keras hides what is inside."""

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
    inside = [layers.Conv2D(5, 3, name="first", activation="relu"), layers.Conv2D(6, 3, name="features")]
    backbone = keras.Sequential([keras.Input((12, 16, 3)), *inside], name="backbone")
    images = keras.Input((12, 16, 3))
    outputs = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(backbone(images)))
    return randomised(keras.Model(images, outputs))


MODELS = {"functional": gap_network, "sequential": sequential, "nested": nested, "subclassed": subclassed}


def grey(attributions) -> np.ndarray:
    """The grid of 2 x 2 pictures of attributions (3,H,W,C), by the formula."""
    summed = np.abs(attributions).sum(-1)
    means, deviations = (f(summed, axis=(1, 2), keepdims=True) for f in (np.mean, np.std))
    pictures = np.clip(255 * (summed - means) / deviations, 0, 255)
    rows = np.concatenate(pictures[:2], 1), np.concatenate([pictures[2], 0 * pictures[2]], 1)
    return np.concatenate(rows)


def same(picture, expected) -> None:
    """Equal but for the rounding of a grey level."""
    assert picture.dtype == np.uint8
    np.testing.assert_allclose(picture.astype(float), expected, atol=1.01)


@pytest.mark.parametrize("kind", MODELS)
def test_every_explainer_gives_the_maps_of_kam_explain_on_every_kind_of_model(images, kind):
    model, images = MODELS[kind](), images[:3]

    def maps(method, **settings):
        return kam.explain(model, images, method, targets=2, **settings).maps

    def coloured(maps):
        return grid_display(np.stack([heatmap_display(one, image) for one, image in zip(maps, images)]))

    data = (images, None)
    same(core.VanillaGradients().explain(data, model, 2), grey(maps("saliency", channels="keep")))
    same(core.GradientsInputs().explain(data, model, 2), grey(maps("gradient_x_input", channels="keep")))
    ig = maps("integrated_gradients", steps=7, channels="keep")
    same(core.IntegratedGradients().explain(data, model, 2, n_steps=7), grey(ig))
    drops = maps("occlusion", patch=4, stride=4, fill=0.5)
    same(core.OcclusionSensitivity().explain(data, model, 2, 4), coloured(drops))
    gradcam = core.GradCAM().explain(data, model, 2, use_guided_grads=False)
    same(gradcam, coloured(maps("gradcam")))


def test_smoothgrad_is_the_mean_gradient_of_the_logit_at_images_with_noise_of_that_deviation(images):
    model, images = gap_network(activation="softmax"), images[:3]
    np.random.seed(3)
    noise = np.random.normal(0, 0.2, (3 * 50, 12, 16, 3)).reshape(3, 50, 12, 16, 3)
    noisy = (images[:, None] + noise).reshape(-1, 12, 16, 3).astype("float32")
    each = kam.explain(model, noisy, "saliency", targets=1, channels="keep").maps
    np.random.seed(3)
    found = core.SmoothGrad().explain((images, None), model, 1, num_samples=50, noise=0.2)
    same(found, grey(each.reshape(3, 50, 12, 16, 3).mean(1)))


@pytest.mark.parametrize("guided", [False, True])
def test_gradcam_weighs_features_by_mean_gradients_that_are_gated_where_guided(images, guided):
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


def test_activations_are_the_feature_maps_image_by_image_from_lowest_to_highest(images):
    model, images = gap_network(), images[:3]
    features = keras.Model(model.inputs, model.get_layer("features").output).predict(images, verbose=0)
    grid = core.ExtractActivations().explain((images, None), model, ["features"])
    assert grid.shape == (5 * 6, 5 * 8) and (grid.min(), grid.max()) == (0, 255)  # 24 maps on 5 x 5 places
    expected = features[1, ..., 3] / features.max() * 255  # the 12th picture: image 1, channel 3
    same(grid[2 * 6 : 3 * 6, 1 * 8 : 2 * 8], expected)


def test_activations_below_0_are_drawn_too(images):
    model, images = nested(), images[:1]
    (features,) = kam.feature_maps(model, images, "features").values()
    grid = core.ExtractActivations().explain((images, None), model, "features")
    lowest, highest = min(features.min(), 0), features.max()  # 6 maps on 3 x 3 places: what is left over is 0
    assert lowest < 0
    same(grid[:8, :12], (features[0, ..., 0] - lowest) / (highest - lowest) * 255)


def test_activations_of_several_layers_stand_side_by_side_the_small_ones_enlarged(images):
    model, one = gap_network(), images[:1]
    maps = kam.feature_maps(model, one, ["conv1", "features"])
    grid = core.ExtractActivations(batch_size=2).explain((one, None), model, ["conv1", "features"])
    highest = max(part.max() for part in maps.values())
    assert grid.shape == (4 * 12, 4 * 16)  # 6 + 8 maps on 4 x 4 places
    same(grid[:12, 16:32], maps["conv1"][0, ..., 1] / highest * 255)
    last = np.repeat(np.repeat(maps["features"][0, ..., 7], 2, 0), 2, 1)
    same(grid[36:, 16:32], last / highest * 255)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_each_image_has_its_own_class_and_none_is_the_one_predicted_without_noise(name):
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


def test_an_inner_layer_of_a_model_that_cannot_be_seen_is_one_clear_error(images):
    model = subclassed(hidden=True)
    with pytest.raises(ValueError, match="the layers of 'subclassed' cannot be seen"):
        core.GradCAM().explain((images, None), model, 0, layer_name="features")
    with pytest.raises(ValueError, match="the layers of 'subclassed' cannot be seen"):
        core.ExtractActivations().explain((images, None), model, ["features"])
    for name in EXPLAINERS.keys() - {"GradCAM"}:
        grid = getattr(core, name)().explain((images[:1], None), model, 0, **EXPLAINERS[name])
        assert grid.shape[:2] == (12, 16) and np.ptp(grid) > 0


def test_a_layer_that_is_not_there_is_named_with_the_choices(images):
    with pytest.raises(
        ValueError, match="no spatial layer 'conv9' in 'gap_network'; there are: conv1, pool1, features"
    ):
        core.GradCAM().explain((images, None), gap_network(), 0, layer_name="conv9")


def test_the_classes_are_tf_explains_own_with_its_arguments_and_defaults():
    for room, own in ((core, original), (callbacks, original_callbacks)):
        assert room.__all__ == sorted(own.__all__)
        for name in own.__all__:
            ours, theirs = getattr(room, name), getattr(own, name)
            assert issubclass(ours, theirs) and ours is not theirs
            added = dict(inspect.signature(ours).parameters)
            assert added.pop("compatible").kind is inspect.Parameter.KEYWORD_ONLY
            assert list(added.values()) == list(inspect.signature(theirs).parameters.values())
            if hasattr(theirs, "explain"):
                assert inspect.signature(ours.explain) == inspect.signature(theirs.explain)
    assert isinstance(core.GradientsInputs(), core.VanillaGradients)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_the_model_is_left_as_it_was(images, name):
    model = gap_network(activation="softmax")
    before = [weight.numpy().copy() for weight in model.weights]
    getattr(core, name)().explain((images[:1], None), model, 0, **EXPLAINERS[name])
    assert model.layers[-1].activation is keras.activations.softmax
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("name", EXPLAINERS)
@pytest.mark.parametrize("shape", [(12, 16, 1), (16, 12, 3)])
def test_grey_images_and_both_orientations_are_drawn(name, shape):
    images = np.random.default_rng(0).random((2, *shape), "float32")
    grid = getattr(core, name)().explain((images, None), gap_network(shape), 1, **EXPLAINERS[name])
    assert grid.shape == (2 * shape[0], 2 * shape[1]) + ((3,) if name in COLOURED else ())
    assert np.ptp(grid) > 0


def test_a_saved_grid_is_read_back_and_what_cannot_be_written_is_an_error(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (8, 10, 3), "uint8")
    core.GradCAM().save(colours, tmp_path / "new" / "folder", "grid.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "folder" / "grid.png"))[..., ::-1], colours)
    core.SmoothGrad().save(colours[..., 0], str(tmp_path), "grey.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "grey.png"), cv2.IMREAD_UNCHANGED), colours[..., 0])
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match=r"cannot write '.*taken.png'"):
        core.SmoothGrad().save(colours[..., 0], tmp_path, "taken.png")


@pytest.mark.parametrize(
    "image, pixels",
    [
        ([0, 0.5, 1], [0, 127, 255]),
        ([-1, 0, 1], [0, 127, 255]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        ([-120.0, 0.0, 130.0], [0, 122, 255]),
        ([-3.0, -3.0, -3.0], [0, 0, 0]),
        (np.array([0, 7, 255], "uint8"), [0, 7, 255]),
    ],
)
def test_images_of_any_range_become_pixels_without_wrapping_around(image, pixels):
    np.testing.assert_array_equal(image_to_uint_255(np.asarray(image)), pixels)


def test_a_constant_map_is_its_lowest_colour_everywhere():
    image = np.zeros((6, 8, 3), "float32")
    for value in (0, 0.1, -7):
        drawn = heatmap_display(np.full((2, 3), value, "float32"), image)
        lowest = cv2.applyColorMap(np.zeros((1, 1), "uint8"), cv2.COLORMAP_VIRIDIS)[0, 0, ::-1]
        np.testing.assert_array_equal(drawn, np.broadcast_to(lowest, drawn.shape))


def test_what_differs_by_rounding_only_is_drawn_as_the_same():
    noise = 1e-8 * np.random.default_rng(0).random((1, 6, 8, 3))
    assert (transform_to_normalized_grayscale(0.1 + noise).numpy() == 0).all()
    image = np.zeros((6, 8, 3), "float32")
    np.testing.assert_array_equal(
        heatmap_display(0.1 + noise[0, ..., 0], image), heatmap_display(0 * noise[0, ..., 0], image)
    )
    assert np.ptp(heatmap_display(1e4 * noise[0, ..., 0], image)) > 100


def test_grey_pictures_do_not_depend_on_their_neighbours_and_rise_with_the_map():
    attributions = np.random.default_rng(0).random((3, 6, 8, 2)) ** 4 * np.array([1, 50, 0]).reshape(3, 1, 1, 1)
    together = transform_to_normalized_grayscale(attributions).numpy()
    tiny = transform_to_normalized_grayscale(attributions * 1e-9).numpy()
    np.testing.assert_allclose(together.astype(int), tiny, atol=1)
    alone = np.concatenate([transform_to_normalized_grayscale(one[None]).numpy() for one in attributions])
    np.testing.assert_array_equal(together, alone)
    assert (together[2] == 0).all()
    for picture, summed in zip(together[:2], attributions.sum(-1)):
        assert (np.diff(picture.ravel()[summed.argsort(axis=None)].astype(int)) >= 0).all()


def test_without_tf_explain_or_on_another_backend_one_line_says_so(monkeypatch):
    loaded = [name for name in sys.modules if name.startswith("keras_actmaps.tf_explain")]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tf_explain", None)
    with pytest.raises(ImportError, match="pip install tf-explain"):
        importlib.import_module("keras_actmaps.tf_explain")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="Keras runs on jax; set KERAS_BACKEND=tensorflow"):
        importlib.import_module("keras_actmaps.tf_explain")
