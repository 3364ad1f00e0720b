"""DeepLIFT against closed forms: rescale, linear maps, products and maxima, and by its completeness."""

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.methods._baselines import baseline_for


def test_rescale_by_hand():
    """2 relu(x1) + 2 relu(x2 - 1.5) at (1, 2) from 0 (Captum's ReLUDeepLiftModel), and where ReLU saturates."""
    inputs = keras.Input((2,))
    x = layers.Dense(2, activation="relu", name="shift")(inputs)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="sum")(x))
    model.get_layer("shift").set_weights([np.eye(2), np.array([0, -1.5])])
    model.get_layer("sum").set_weights([np.full((2, 1), 2.0)])
    rows = np.array([[1, 2], [-10, 1], [3, 1.5]], "float32")
    found = kam.explain(model, rows, "deeplift", targets=0)
    np.testing.assert_allclose(found.maps, [[2, 1], [0, 0], [6, 0]], atol=1e-6)
    shifted = kam.explain(model, rows, "deeplift", targets=0, baseline=[-1, 2])
    np.testing.assert_allclose(shifted.maps, [[2, 0], [0, -1], [6, -1]], atol=1e-6)


def test_linear_maps_and_products():
    inputs = keras.Input((2, 2, 2))
    x = layers.BatchNormalization()(layers.Conv2D(3, 2, padding="same")(inputs))
    linear = randomised(keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x))))
    images = np.random.default_rng(0).normal(size=(2, 2, 2, 2)).astype("float32")
    unit = np.eye(8, dtype="float32").reshape(8, 2, 2, 2)
    weights = array(linear(unit) - linear(0 * unit))[:, 1].reshape(2, 2, 2)
    for baseline, start in (("zero", 0), ("mean", images.mean((1, 2), keepdims=True)), (0.5, 0.5)):
        found = kam.explain(linear, images, "deeplift", targets=1, baseline=baseline, channels="keep").maps
        np.testing.assert_allclose(found, weights * (images - start), rtol=1e-4, atol=1e-5)

    pair = keras.Input((2,))
    product = keras.Model(pair, layers.Multiply()([pair[:, :1], pair[:, 1:]]))
    found = kam.explain(product, np.array([[3, 5]], "float32"), "deeplift", targets=0, baseline=[1, 2]).maps
    np.testing.assert_allclose(
        found, [[(3 - 1) * (5 + 2) / 2, (5 - 2) * (3 + 1) / 2]]
    )  # each with half of 3 * 5 - 1 * 2


@pytest.mark.parametrize(
    ("image", "start", "expected"),
    [
        ([1, 4, 2, 3], [0, 1, 0, 0], [0, 3, 0, 0]),  # the winner is the same
        ([1, 2, 6, 3], [0, 4, 0, 0], [0, 0, 2, 0]),  # the rise goes to the winner in the image
        ([1, 2, 3, 0], [0, 5, 0, 0], [0, -2, 0, 0]),  # the fall goes to the winner in the baseline
        ([1, 2, 4, 3], [5, 5, 5, 5], [0, 0, -1, 0]),  # a tie in the baseline goes to the winner in the image
    ],
)
@pytest.mark.parametrize("pool", [layers.MaxPooling1D(4), layers.GlobalMaxPooling1D()])
def test_the_change_of_a_maximum_is_attributed_to_its_winner(pool, image, start, expected):
    inputs = keras.Input((4, 1))
    model = keras.Model(inputs, layers.Flatten()(pool(inputs)))
    column = np.array(image, "float32").reshape(1, 4, 1)
    found = kam.explain(model, column, "deeplift", targets=0, baseline=np.reshape(start, (4, 1)))
    np.testing.assert_allclose(found.maps[0], expected, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "sigmoid", "tanh", layers.PReLU(), layers.ELU()])
def test_it_sums_to_the_difference_through_any_activation(activation):
    inputs = keras.Input((10, 9, 2))
    x = layers.Conv2D(4, 3, activation=None if isinstance(activation, layers.Layer) else activation)(inputs)
    x = activation(x) if isinstance(activation, layers.Layer) else x
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Add()([layers.DepthwiseConv2D(3, padding="same")(x * gate), layers.BatchNormalization()(x)])
    x = ops.relu(layers.MaxPooling2D(3, strides=1)(x))
    model = randomised(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    images = np.random.default_rng(1).normal(size=(3, 10, 9, 2)).astype("float32")
    for baseline in ("zero", "mean", "blur", 0.3):
        found = kam.explain(model, images, "deeplift", targets=[0, 1, 2], baseline=baseline)
        start = baseline_for(images, baseline)
        difference = np.diag((array(model(images)) - array(model(start)))[:, [0, 1, 2]])
        np.testing.assert_allclose(found.maps.sum((1, 2)), difference, atol=1e-4 * np.abs(difference).max())
        np.testing.assert_allclose(found.residual, 0, atol=1e-4 * np.abs(difference).max())


def test_bad_settings_raise_before_any_pass(images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(
        ValueError, match=r"^baseline must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number, .*, got 'black'$"
    ):
        kam.explain(gap_network(), images, "deeplift", baseline="black")
    with pytest.raises(ValueError, match=r"^channels must be 'sum', 'abs_max', 'norm', 'max' or 'keep', got 'all'$"):
        kam.explain(gap_network(), images, "deeplift", channels="all")
