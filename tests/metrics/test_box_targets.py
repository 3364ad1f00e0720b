"""The score of a detection that metrics measure is the one that was explained."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam

CORNERS = np.array([[4 * j, 4 * i, 4 * j + 4, 4 * i + 4] for i in range(2) for j in range(3)], "float32")
BOX = np.float32([6, 0, 12, 4])
OVERLAPS = np.array([0, 2 * 4 / (24 + 16 - 8), 4 * 4 / 24, 0, 0, 0])


def detector():
    """Boxes and class logits of 6 anchors, of which each reads one cell of the image."""
    inputs = keras.Input((8, 12, 3))
    logits = layers.Reshape((6, 4))(layers.Conv2D(4, 1)(layers.Conv2D(5, 4, strides=4, activation="relu")(inputs)))
    return randomised(keras.Model(inputs, {"boxes": ops.zeros_like(logits) + CORNERS, "classes": logits}))


def anchor_logit(logits):
    return logits[:, OVERLAPS.argmax(), 1]


def similarity(logits):
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return (OVERLAPS * chances[..., 1] / np.linalg.norm(chances, axis=-1)).max(1)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((3, 8, 12, 3), "float32")


@pytest.mark.parametrize(
    "method, expected, settings",
    [("saliency", anchor_logit, {}), ("occlusion", similarity, {"patch": 4, "stride": 4})],
)
def test_the_curves_of_a_box_are_those_of_the_explained_score(method, expected, settings, images):
    model, target = detector(), kam.targets.Box(1, BOX)
    e = kam.explain(model, images, method, targets=target, **settings)
    found = kam.metrics.deletion_curve(model, images, e, targets=target, patch=4, steps=6)
    means = e.maps.reshape(3, 2, 4, 3, 4).mean((2, 4)).reshape(3, -1)
    ranks = np.argsort(np.argsort(-means, kind="stable"))
    for step in range(7):
        kept = (ranks >= step).reshape(3, 2, 3).repeat(4, 1).repeat(4, 2)[..., None]
        logits = model.predict(images * kept, verbose=0)["classes"]
        np.testing.assert_allclose(found[:, step], expected(logits), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, 0], e.scores, rtol=1e-5)


def test_a_table_of_both_kinds_of_methods_measures_one_score(images):
    """With all pixels hidden or shown the curves of both rows end in the same similarities."""
    model, target = detector(), kam.targets.Box(1, BOX)
    methods = ["saliency", ("occlusion", {"patch": 4, "stride": 4})]
    metrics = [
        ("deletion", {"steps": 1, "patch": 4, "fill": "zero"}),
        ("insertion", {"steps": 1, "patch": 4, "fill": "zero"}),
    ]
    table = kam.compare(model, images, methods, metrics, targets=target).table
    ends = [similarity(model.predict(part, verbose=0)["classes"]) for part in (images, 0 * images)]
    np.testing.assert_allclose(table.values, np.broadcast_to(np.mean(ends, axis=0), (2, 2, 3)), rtol=1e-4)
