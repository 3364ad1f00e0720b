"""CAM against the head as a 1x1 convolution, and its errors for models that it does not fit."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, raw_maps
from keras import layers

import keras_actmaps as kam


def test_is_the_head_as_a_convolution_whose_mean_is_the_logit(images):
    model = gap_network(activation="softmax")
    maps = raw_maps("cam", model, images, np.tile(np.arange(4), (5, 1)))
    convolutional = array(kam.models.to_convolutional(model)(images))
    np.testing.assert_allclose(np.moveaxis(maps, 1, -1), convolutional, rtol=1e-5, atol=1e-6)
    logits = np.log(model.predict(images, verbose=0))
    means = maps.mean((2, 3))
    np.testing.assert_allclose(means - means[:, :1], logits - logits[:, :1], atol=1e-5)


def test_accepts_dropout_a_bottleneck_and_a_pointwise_convolution(images):
    inputs = keras.Input((12, 16, 3))
    features = layers.Conv2D(8, 3, activation="relu", name="features")(inputs)
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.SpatialDropout2D(0.5)(features))
    x = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(6, 1)(x)))
    model = keras.Model(inputs, layers.Activation("softmax")(layers.Dense(4)(layers.Reshape((6,))(x))))
    e = kam.explain(model, images, "cam", targets="all", layer="features")
    raw = raw_maps("cam", model, images, e.targets, "features")
    np.testing.assert_allclose(raw.mean((2, 3)), e.scores, atol=1e-5)
    with pytest.raises(ValueError, match="gradcam works there"):
        kam.explain(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(features))), images, "cam")


def test_the_error_names_the_layer_that_does_not_fit(images):
    with pytest.raises(ValueError, match=r"behind layer 'conv1' .* 'pool1' \(MaxPooling2D\) follows; gradcam works"):
        kam.explain(gap_network(), images, "cam", layer="conv1")
    dense = keras.Sequential([keras.Input((7,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="no layer with a spatial output"):
        kam.explain(dense, np.ones((2, 7)), "cam")
