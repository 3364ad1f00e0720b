"""A ConvNeXt of Keras: LayerScale, StochasticDepth, LayerNormalization, GELU."""

import numpy as np
from helpers import array
from keras.src.applications.convnext import ConvNeXt

import keras_actmaps as kam


def test_a_convnext_is_explained_by_lrp_and_deeplift():
    model = ConvNeXt(
        depths=[1, 1, 1, 1],
        projection_dims=[4, 4, 6, 6],
        drop_path_rate=0.1,
        layer_scale_init_value=0.5,
        include_preprocessing=False,
        weights=None,
        input_shape=(32, 32, 3),
        classes=3,
        classifier_activation=None,
    )
    random = np.random.default_rng(0)
    for weight in model.weights:
        shift = 0.5 if "gamma" in weight.path else 0
        weight.assign(random.normal(shift, 0.3, weight.shape))
    images = random.normal(size=(2, 32, 32, 3)).astype("float32")
    start = np.full_like(images, 0.2)
    difference = array(model(images) - model(start))[:, 1]
    e = kam.explain(model, images, "deeplift", targets=1, baseline=0.2)
    np.testing.assert_allclose(e.maps.sum((1, 2)), difference, atol=1e-3 * np.abs(e.maps).sum((1, 2)).max())
    lrp = kam.explain(model, images, "lrp", targets=1, composite="epsilon_gamma_box")
    np.testing.assert_allclose(lrp.scores, array(model(images))[:, 1], rtol=1e-3)
    assert np.isfinite(lrp.maps).all() and lrp.maps.any()
