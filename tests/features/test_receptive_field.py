"""The receptive field against a numerical one: which pixels, made bright one by one, change the unit."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps.core.trace import trace_model
from keras_actmaps.features.receptive_field import receptive_field

SPACE = (11, 14)


def plain(x):
    x = layers.Conv2D(2, 3, strides=2, padding="same")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return layers.Conv2D(2, 2)(x)


def rectangular(x):
    x = layers.Conv2D(2, (3, 2), strides=(2, 1), padding="same", activation="relu")(x)
    return layers.Conv2D(2, (2, 3), dilation_rate=(1, 2), padding="same")(x)


def dilated(x):
    return layers.Conv2D(2, 3, dilation_rate=2)(layers.AveragePooling2D((2, 1), strides=1)(x))


def padded_and_cropped(x):
    x = layers.ZeroPadding2D(((2, 0), (1, 3)))(x)
    x = layers.Conv2D(2, 3, strides=2)(x)
    return layers.Conv2D(2, 2)(layers.Cropping2D(((1, 0), (0, 2)))(x))


def seeing_only_padding(x):
    return layers.Conv2D(2, 3)(layers.Conv2D(2, 2)(layers.ZeroPadding2D(6)(x)))


def residual(x):
    x = layers.Conv2D(4, 1, strides=2)(x)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.ReLU()(layers.Add()([x, layers.Conv2D(4, 3, padding="same")(y)]))
    return layers.Concatenate()([layers.Conv2D(2, 1)(x), layers.MaxPooling2D((1, 3), 1, padding="same")(x)])


def wide_and_narrow_in_one_sum(x):
    return layers.Average()([layers.Conv2D(2, (1, 5), padding="same")(x), layers.Conv2D(2, (5, 1), padding="same")(x)])


def depthwise_and_separable(x):
    x = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    return layers.Dropout(0.5)(layers.SeparableConv2D(3, 3, padding="same")(x))


def enlarged(x):
    x = layers.Conv2D(2, 3, strides=2)(x)
    return layers.Conv2D(2, 2)(layers.UpSampling2D(2)(x))


def enlarged_bilinearly(x):
    return layers.UpSampling2D((2, 3), interpolation="bilinear")(layers.Conv2D(2, 3, strides=2)(x))


def resized(x):
    return layers.Resizing(7, 9)(layers.Conv2D(2, 2)(x))


def transposed(x):
    x = layers.Conv2D(2, 3, strides=3, padding="same")(x)
    return layers.Conv2DTranspose(2, 3, strides=2, padding="same")(x)


def transposed_valid(x):
    return layers.Conv2DTranspose(2, (4, 2), strides=2)(layers.Conv2D(2, 3, strides=2)(x))


def transposed_with_gaps(x):
    return layers.Conv2DTranspose(2, 1, strides=2)(layers.MaxPooling2D(3)(x))


def place_by_place(x):
    x = layers.Dense(4)(layers.Rescaling(2.0, 1.0)(x))
    x = layers.LayerNormalization()(layers.RandomFlip()(x))
    return keras.ops.maximum(layers.Conv2D(4, 2)(x), 0.1) + 1


def nested(x):
    images = keras.Input((None, None, 2))
    inner = keras.Model(images, layers.Conv2D(2, 3, strides=2, padding="same")(images))
    return layers.Conv2D(2, 2)(inner(x))


def squeeze_and_excitation(x):
    x = layers.Conv2D(2, 3)(x)
    return layers.Multiply()([x, layers.Dense(2)(layers.GlobalAveragePooling2D(keepdims=True)(x))])


def through_a_vector(x):
    x = layers.Dense(6)(layers.Flatten()(x))
    return layers.Conv2D(2, 2)(layers.Reshape((2, 3, 1))(x))


NETWORKS = [
    plain,
    rectangular,
    dilated,
    padded_and_cropped,
    seeing_only_padding,
    residual,
    wide_and_narrow_in_one_sum,
    depthwise_and_separable,
    enlarged,
    enlarged_bilinearly,
    resized,
    transposed,
    transposed_valid,
    transposed_with_gaps,
    place_by_place,
    nested,
    squeeze_and_excitation,
    through_a_vector,
]


def positive(model):
    """The model with positive kernels, in which no change of a pixel can cancel another's."""
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "kernel" in variable.name:
            variable.assign(random.uniform(0.5, 1, variable.shape))
    return model


def numerical(model, space):
    """The box of pixels on which each unit depends, by its place in the output."""
    depth = model.input_shape[-1]
    image = np.random.default_rng(1).random((*space, depth), "float32")
    bright = np.repeat(image[None], np.prod(space), axis=0)
    for number, place in enumerate(itertools.product(*map(range, space))):
        bright[(number, *place)] += 100 * np.arange(1, depth + 1)
    before, after = model.predict(image[None], verbose=0), model.predict(bright, verbose=0, batch_size=1024)
    changed = (np.abs(after - before) > 1e-3 * np.abs(before).max()).any(axis=-1)
    for place in itertools.product(*map(range, changed.shape[1:])):
        pixels = np.argwhere(changed[(slice(None), *place)].reshape(space))
        ends = zip(pixels.min(axis=0), pixels.max(axis=0) + 1) if len(pixels) else [(0, 0)] * len(space)
        yield place, tuple(slice(int(first), int(stop)) for first, stop in ends)


def compare(model, space):
    graph = trace_model(positive(model))
    for place, box in numerical(model, space):
        assert receptive_field(graph, graph.outputs, place, space) == box, place


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_the_box_contains_exactly_the_pixels_that_change_the_unit(network):
    images = keras.Input((*SPACE, 2))
    compare(keras.Model(images, network(images)), SPACE)


def test_images_of_any_size():
    images = keras.Input((None, None, 1))
    compare(keras.Model(images, plain(images)), (9, 10))


@pytest.mark.parametrize(
    "space, make",
    [
        ((13,), lambda x: layers.Conv1D(2, 3, dilation_rate=2, padding="causal")(layers.MaxPooling1D(2)(x))),
        ((13,), lambda x: layers.Conv1D(2, 2)(layers.Cropping1D((2, 1))(layers.ZeroPadding1D((3, 1))(x)))),
        ((5, 6, 7), lambda x: layers.AveragePooling3D((1, 2, 1))(layers.Conv3D(2, 3, strides=(1, 2, 3))(x))),
    ],
)
def test_sequences_and_volumes(space, make):
    images = keras.Input((*space, 2))
    compare(keras.Model(images, make(images)), space)


def test_the_field_of_a_unit_without_a_place_and_behind_an_unknown_layer_is_the_whole_image():
    @keras.saving.register_keras_serializable("tests")
    class Mirror(layers.Layer):
        def call(self, x):
            return keras.ops.flip(x, axis=1)

    images = keras.Input((*SPACE, 2))
    features = layers.Conv2D(2, 3, name="features")(Mirror()(images))
    graph = trace_model(keras.Model(images, layers.GlobalAveragePooling2D()(features)))
    whole = tuple(slice(0, side) for side in SPACE)
    assert receptive_field(graph, graph.outputs, (), SPACE) == whole
    assert receptive_field(graph, graph.slot_of["features"], (2, 2), SPACE) == whole


def test_published_receptive_fields():
    """VGG16's block5_conv3 has 196 pixels, block5_pool 212 (Araujo et al. 2019); taken in the middle of an image."""
    x = images = keras.Input((384, 384, 1))
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, depth + 1):
            x = layers.Conv2D(1, 3, padding="same", activation="relu", name=f"block{block}_conv{number}")(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    graph = trace_model(keras.Model(images, x))
    for name, middle, size in (("block5_conv3", 12, 196), ("block5_pool", 6, 212)):
        rows, columns = receptive_field(graph, graph.slot_of[name], (middle, middle), (384, 384))
        assert rows == columns and rows.stop - rows.start == size
