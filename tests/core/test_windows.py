"""Incremental occlusion against the model's own predictions of images with each patch filled, one by one."""

import itertools

import keras
import numpy as np
import pytest
from helpers import randomised
from helpers.random_networks import random_network
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import Probe
from keras_actmaps.core.window_plan import plan_windows
from keras_actmaps.core.windows import Reach, Windows
from keras_actmaps.methods import occlusion
from keras_actmaps.models.teaching import grid_cnn

SHAPE = (19, 24, 3)


def _strided(x):
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    return layers.Conv2D(5, (3, 2), strides=(1, 2), padding="valid", activation="tanh")(x)


def _dilated(x):
    x = layers.Conv2D(6, (2, 3), dilation_rate=(2, 1), padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Conv2D(4, 2, dilation_rate=2, groups=2)(layers.LeakyReLU()(x))


def _pooled(x):
    x = layers.MaxPooling2D(3, 2, padding="same")(layers.Conv2D(6, 3)(x))
    x = layers.AveragePooling2D(3, 1, padding="same")(x)
    return layers.AveragePooling2D(2, 2)(layers.MaxPooling2D((2, 1), 1)(x))


def _unevenly_padded(x):
    x = layers.Conv2D(4, 3, activation="relu")(layers.AveragePooling2D(3, 2, padding="same")(x))
    return layers.AveragePooling2D(2, 1, padding="same")(x)


def _depthwise(x):
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(layers.ZeroPadding2D(((0, 1), (2, 1)))(x))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    return layers.SeparableConv2D(5, 3, strides=2, activation="relu")(x)


def _residual(x):
    x = first = layers.Conv2D(4, 1, strides=2, activation="relu")(x)
    for size in (3, 1):
        x = layers.Conv2D(4, size, padding="same", activation="relu")(x)
    x = layers.Subtract()([layers.Add()([x, first]), 0.5 * first])
    wide = layers.Conv2D(3, (5, 1), padding="same")(x)
    x = layers.Concatenate()([layers.MaxPooling2D(3, 1, padding="same")(x), wide, x])
    return layers.Dense(4, activation="gelu")(layers.LayerNormalization()(x))


def _gated(x):
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Conv2D(4, 3, strides=2)(layers.Multiply()([x, gate]))


def _positional(x):
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.PReLU(alpha_initializer=keras.initializers.RandomNormal(seed=0))(x)
    x = ops.multiply(x, np.linspace(0, 1, x.shape[2], dtype="float32")[:, None])
    x = layers.Activation("softmax")(layers.Rescaling(5.0, offset=[0.1, 0.0, 0.2, -1.0])(x))
    return layers.UpSampling2D()(layers.Conv2DTranspose(3, 2, strides=2)(x))


class Shifted(layers.Conv2D):
    """A convolution of what lies five positions to the right."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(ops.roll(inputs, -5, axis=2), kernel)


def _of_a_user(x):
    return Shifted(4, 3, activation="relu")(layers.Conv2D(4, 3)(x))


BODIES = (_strided, _dilated, _pooled, _unevenly_padded, _depthwise, _residual, _gated, _positional, _of_a_user)


def network(body, shape=SHAPE, top=layers.GlobalAveragePooling2D):
    inputs = keras.Input(shape)
    return randomised(keras.Model(inputs, layers.Dense(3)(top()(body(inputs)))))


def drops(model, images, patch, stride, fill=0.0):
    """The mean drop of output 1 over the patches that contain a pixel."""
    space = images.shape[1:-1]
    starts = [sorted({*range(0, side - p, s), side - p}) for side, p, s in zip(space, patch, stride)]
    boxes = [tuple(slice(i, i + p) for i, p in zip(at, patch)) for at in itertools.product(*starts)]
    filled = np.repeat(images[:, None], len(boxes), axis=1)
    for number, box in enumerate(boxes):
        filled[(slice(None), number, *box)] = np.broadcast_to(fill, images.shape)[(slice(None), *box)]
    scores = model.predict(np.concatenate([images[:, None], filled], 1).reshape(-1, *images.shape[1:]), verbose=0)
    scores = scores[:, 1].reshape(len(images), -1)
    sums, counts = np.zeros(images.shape[:-1]), np.zeros(space)
    for number, box in enumerate(boxes):
        sums[(slice(None), *box)] += (scores[:, 0] - scores[:, 1 + number]).reshape(-1, *(1 for _ in space))
        counts[box] += 1
    return sums / counts


def assert_equal_to_predictions(model, shape, patch, stride, **settings):
    images = np.random.default_rng(0).random((2, *shape), "float32")
    e = kam.explain(model, images, "occlusion", targets=1, patch=patch, stride=stride, incremental=True, **settings)
    expected = drops(model, images, patch, stride, settings.get("fill", 0.0))
    np.testing.assert_allclose(e.maps, expected, atol=2e-5 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("patch, stride", [((3, 4), (2, 3)), ((1, 7), (1, 5))])
def test_equals_predictions_of_filled_images(body, patch, stride):
    assert_equal_to_predictions(network(body), SHAPE, patch, stride, batch_size=7)


@pytest.mark.parametrize("seed", [7, 11, 55])
def test_equals_complete_passes_of_random_networks(seed):
    model, _, images = random_network(seed)
    plain, found = (kam.explain(model, images, "occlusion", patch=2, incremental=how) for how in (False, True))
    np.testing.assert_allclose(found.maps, plain.maps, atol=1e-5 * np.abs(plain.maps).max(), rtol=0)


def test_programs_are_compiled_once():
    probe, images = Probe(network(_gated)), np.ones((2, *SHAPE), "float32")
    kam.explain(probe, images, "occlusion", incremental=True, patch=9, stride=9)
    traces = probe.traces
    kam.explain(probe, images + 1, "occlusion", incremental=True, patch=9, stride=9)
    assert probe.traces == traces


@pytest.mark.parametrize("top", [layers.Flatten, layers.GlobalMaxPooling2D])
def test_leaves_the_windows_before_layers_of_all_positions(top):
    assert_equal_to_predictions(network(_strided, top=top), SHAPE, (4, 4), (3, 4))


def test_fills_with_numbers_colors_and_images():
    model = network(_strided)
    for fill in (0.7, [0.1, -0.2, 0.3], np.random.default_rng(1).random(SHAPE, "float32")):
        assert_equal_to_predictions(model, SHAPE, (4, 5), (4, 4), fill=fill)


def test_sequences_and_volumes():
    x = inputs = keras.Input((30, 2))
    x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    outputs = layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.MaxPooling1D()(x)))
    assert_equal_to_predictions(randomised(keras.Model(inputs, outputs)), (30, 2), (3,), (2,))
    x = inputs = keras.Input((6, 7, 8, 1))
    x = layers.AveragePooling3D(2, 1, padding="same")(layers.Conv3D(2, 2, strides=(1, 2, 1), activation="relu")(x))
    outputs = layers.Dense(3)(layers.GlobalAveragePooling3D()(x))
    assert_equal_to_predictions(randomised(keras.Model(inputs, outputs)), (6, 7, 8, 1), (2, 2, 2), (2, 1, 2))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="modules need Keras on PyTorch")
def test_equals_predictions_of_a_module():
    import torch
    from torch import nn

    torch.manual_seed(0)
    features = nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.Conv2d(4, 5, 2), nn.BatchNorm2d(5)
    module = nn.Sequential(*features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)).eval()
    images = np.random.default_rng(0).random((2, 3, 19, 24), "float32")
    e = kam.explain(module, images, "occlusion", targets=1, patch=5, stride=4, incremental=True)
    filled = images.copy()
    filled[:, :, :5, :5] = 0
    with torch.no_grad():
        scores = [module(torch.from_numpy(part))[:, 1].numpy() for part in (images, filled)]
    np.testing.assert_allclose(e.maps[:, 0, 0], scores[0] - scores[1], atol=1e-6)


@pytest.mark.parametrize("size, stride, before", [(3, 1, 1), (3, 2, 0), (1, 2, 0), (5, 3, 2), (2, 1, 0)])
def test_windows_contain_what_depends_on_the_inputs(size, stride, before):
    reach, side = Reach((size,), (stride,), (before,)), 20
    starts = np.arange(side - 3)[:, None]
    found = reach.outputs(Windows(starts, (3,)), (side // stride,))
    for (start,), (first,) in zip(starts, found.starts):
        outputs = range(side // stride)
        read = [set(range(o * stride - before, o * stride - before + size)) for o in outputs]
        changed = {o for o in outputs if read[o] & {start, start + 1, start + 2}}
        assert changed <= set(range(first, first + found.sides[0])) <= set(outputs)


def plan_of(model, **settings):
    return plan_windows(Probe(model).folded, occlusion.windows(np.zeros((1, *model.input_shape[1:])), **settings))


def test_squeeze_and_excitation_has_the_multiply_adds_of_complete_passes_after_it():
    plan = plan_of(network(_gated), patch=3, stride=3)
    after = 9 * 11 * 9 * 16 + 16 + 12  # the strided convolution, the gate and the outputs
    assert plan.all_multiply_adds == 19 * 24 * 27 * 4 + after
    assert plan.multiply_adds == 5 * 5 * 27 * 4 + after


def test_multiply_adds_of_the_grid_network():
    plan = plan_of(grid_cnn())
    assert plan.all_multiply_adds > 8 * plan.multiply_adds


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="drawing the weights takes long; the plan is the same")
@pytest.mark.parametrize("name, least", [("VGG16", 6), ("ResNet50", 1.8), ("MobileNetV2", 1.7)])
def test_multiply_adds_of_known_networks(name, least):
    with keras.device("meta"):
        plan = plan_of(getattr(keras.applications, name)(weights=None), patch=16, stride=8)
    assert plan.all_multiply_adds > least * plan.multiply_adds
    assert plan.share < 0.6


@pytest.mark.parametrize("model, is_chosen", [(grid_cnn((56, 56, 3)), True), (network(_gated, (56, 56, 3)), False)])
def test_is_chosen_where_it_is_estimated_to_pay(model, is_chosen, monkeypatch):
    calls = []
    original = occlusion.patch_scores
    monkeypatch.setattr(occlusion, "patch_scores", lambda *args: calls.append(1) or original(*args))
    images = np.random.default_rng(0).random((1, 56, 56, 3), "float32")
    settings = {"patch": 28, "stride": 28} if not is_chosen else {}
    kam.explain(model, images, "occlusion", **settings)
    assert bool(calls) is is_chosen
    calls.clear()
    kam.explain(model, images, "occlusion", incremental=not is_chosen, **settings)
    assert bool(calls) is not is_chosen


def test_is_refused_for_tables():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"^incremental=True needs one input with spatial axes"):
        kam.explain(model, np.ones((1, 8)), "occlusion", incremental=True)
