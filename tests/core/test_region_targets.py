"""Targets with data of each input: regions, boxes and embeddings, against functions that do the same for one input."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.core.cache import as_traced

METHODS = {
    "saliency": {},
    "gradcam": {},
    "integrated_gradients": {"steps": 4},
    "occlusion": {"patch": 4},
    "rise": {"samples": 6, "cells": 2},
    "smoothgrad": {"samples": 3},
    "lrp": {},
    "lime": {"samples": 8, "cells": 2},
    "deeplift": {},
    "scorecam": {},
}


def segmenter(classes=3):
    """A small U-Net: down, up, and the features before joined to those after."""
    inputs = keras.Input((8, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="down")(inputs)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="middle")(layers.MaxPooling2D()(x))
    x = layers.Concatenate()([x, layers.UpSampling2D()(y)])
    head = layers.Conv2D(classes, 1, activation="softmax" if classes > 1 else "sigmoid", name="head")
    return randomised(keras.Model(inputs, head(layers.Conv2D(5, 3, padding="same", activation="relu")(x))))


def detector():
    """Decoded boxes and class probabilities of 6 anchors, of which each reads one cell of the image."""
    inputs = keras.Input((8, 12, 3))
    x = layers.Conv2D(5, 4, strides=4, activation="relu", name="cells")(inputs)
    logits = layers.Reshape((6, 4))(layers.Conv2D(4, 1)(x))
    corner = np.array([[4 * j, 4 * i, 4 * j + 4, 4 * i + 4] for i in range(2) for j in range(3)], "float32")
    boxes = ops.zeros_like(logits) + corner
    return randomised(keras.Model(inputs, {"boxes": boxes, "classes": layers.Softmax()(logits)}))


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((5, 8, 12, 3), "float32")


@pytest.mark.parametrize("method", METHODS)
def test_the_mask_of_each_image_stays_with_it(method, pictures):
    model, masks = segmenter(), np.random.default_rng(1).random((5, 8, 12)) < 0.3
    logits = keras.models.clone_model(model)
    logits.set_weights(model.get_weights())
    logits.get_layer("head").activation = keras.activations.linear
    settings = METHODS[method]
    e = kam.explain(model, pictures, method, targets=kam.targets.Region(1, masks), batch_size=2, **settings)
    assert e.targets is None
    for i in range(5):

        def total(y, image=i):
            return ops.sum(y[..., 1] * ops.convert_to_tensor(masks[image], dtype="float32"), axis=(1, 2))

        one = kam.explain(logits, pictures[i : i + 1], method, targets=total, **settings)
        np.testing.assert_allclose(e.scores[i], one.scores[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(e.maps[i], one.maps[0], atol=1e-4 * np.abs(one.maps).max() + 1e-7)


def test_a_predicted_region_is_where_the_class_wins(pictures):
    model = segmenter()
    won = model.predict(pictures, verbose=0).argmax(-1) == 2
    e = kam.explain(model, pictures, "saliency", targets=kam.targets.PredictedRegion(2))
    expected = kam.explain(model, pictures, "saliency", targets=kam.targets.Region(2, won))
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-6)
    assert won.any() and not won.all()


def region_logits(model):
    """The same network without the softmax of its head."""
    logits = keras.models.clone_model(model)
    logits.set_weights(model.get_weights())
    logits.get_layer("head").activation = keras.activations.linear
    return logits


def test_a_predicted_region_stays_the_same_under_occlusion(pictures):
    model = segmenter()
    logits, won = region_logits(model), model.predict(pictures, verbose=0).argmax(-1) == 1
    target = kam.targets.PredictedRegion(1)
    e = kam.explain(model, pictures, "occlusion", targets=target, batch_size=2, patch=4, stride=4)
    whole, moved = logits.predict(pictures, verbose=0), False
    for row, column in ((0, 0), (4, 8)):
        hidden = pictures.copy()
        hidden[:, row : row + 4, column : column + 4] = 0
        others = logits.predict(hidden, verbose=0)
        moved |= bool(((others.argmax(-1) == 1) != won).any())
        expected = ((whole - others)[..., 1] * won).sum((1, 2))
        np.testing.assert_allclose(e.maps[:, row, column], expected, rtol=1e-4, atol=1e-4)
    assert moved  # the regions that the occluded pictures predict are others


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "rise", "smoothgrad", "deeplift"])
def test_a_predicted_region_is_that_of_the_original_pictures(method, pictures):
    model, settings = segmenter(), METHODS.get(method, {})
    won = model.predict(pictures, verbose=0).argmax(-1) == 2
    assert won.any() and not won.all()
    kept = kam.targets.Region(0, np.ones((8, 12)))
    maps = [
        kam.explain(model, pictures, method, targets=kam.targets.Difference(kept, one), batch_size=2, **settings).maps
        for one in (kam.targets.PredictedRegion(2), kam.targets.Region(2, won))
    ]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5 * np.abs(maps[1]).max())


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "smoothgrad"])
def test_a_box_keeps_the_anchor_of_the_original_pictures(method, pictures):
    inputs = keras.Input((8, 12, 3))
    x = layers.Conv2D(5, 4, strides=4, activation="relu")(inputs)
    corners = layers.Reshape((6, 4))(layers.Conv2D(4, 1)(x))
    boxes = ops.concatenate([corners[..., :2], corners[..., :2] + ops.softplus(corners[..., 2:]) + 1], axis=-1)
    model = randomised(keras.Model(inputs, {"boxes": boxes, "classes": layers.Reshape((6, 3))(layers.Conv2D(3, 1)(x))}))
    box, found = np.array([-1, -1, 1, 1], "float32"), model.predict(pictures, verbose=0)["boxes"]
    anchors = overlaps(box, found).argmax(1)
    assert len(set(anchors)) > 1
    assert (overlaps(box, model.predict(0 * pictures, verbose=0)["boxes"]).argmax(1) != anchors).any()
    settings = METHODS.get(method, {})
    e = kam.explain(model, pictures, method, targets=kam.targets.Box(1, box), batch_size=2, **settings)
    for anchor in set(anchors):
        target = kam.targets.Output("classes", (int(anchor), 1))
        one = kam.explain(model, pictures, method, targets=target, batch_size=2, **settings)
        same = anchors == anchor
        np.testing.assert_allclose(e.scores[same], one.scores[same], rtol=1e-4)
        np.testing.assert_allclose(e.maps[same], one.maps[same], atol=1e-5 * np.abs(one.maps).max())


def overlaps(box, boxes):
    """The intersection over union of a box and boxes."""
    shared = (np.minimum(boxes[..., 2:], box[2:]) - np.maximum(boxes[..., :2], box[:2])).clip(0).prod(-1)
    return shared / (np.prod(boxes[..., 2:] - boxes[..., :2], -1) + np.prod(box[2:] - box[:2]) - shared)


def test_metrics_measure_the_region_of_the_original_pictures(pictures):
    model = segmenter()
    won = model.predict(pictures, verbose=0).argmax(-1) == 1
    e = kam.explain(model, pictures, "saliency", targets=kam.targets.Region(1, won))
    for metric in (kam.metrics.deletion_curve, kam.metrics.max_sensitivity):
        regions = kam.targets.PredictedRegion(1), kam.targets.Region(1, won)
        found = [metric(model, pictures, e, targets=one, batch_size=5) for one in regions]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_both_sides_of_a_single_channel(pictures):
    model, mask = segmenter(classes=1), np.ones((8, 12))
    one, other = (kam.explain(model, pictures, "lrp", targets=kam.targets.Region(c, mask)) for c in (1, 0))
    np.testing.assert_allclose(one.maps, -other.maps, atol=1e-5)
    chances = model.predict(pictures, verbose=0)[..., 0].astype("float64")
    np.testing.assert_allclose(one.scores, np.log(chances / (1 - chances)).sum((1, 2)), rtol=1e-3)


def test_a_box_is_explained_by_its_cell(pictures):
    model = detector()
    box = np.array([[8, 4, 12, 7], [0, 0, 4, 3], [8, 4, 12, 7], [8, 4, 12, 7], [0, 0, 4, 3]])  # cells 5 and 0
    e = kam.explain(model, pictures, "gradient_x_input", targets=kam.targets.Box(2, box), batch_size=2)
    cell = np.zeros((5, 8, 12), bool)
    cell[[0, 2, 3], 4:, 8:] = cell[[1, 4], :4, :4] = True
    assert not e.maps[~cell].any() and e.maps[cell].any()
    chances = model.predict(pictures, verbose=0)["classes"]
    logits = np.log(chances[np.arange(5), [5, 0, 5, 5, 0]])
    found = np.stack(
        [kam.explain(model, pictures, "saliency", targets=kam.targets.Box(c, box)).scores for c in range(4)], axis=1
    )
    np.testing.assert_allclose(found - found.mean(1, keepdims=True), logits - logits.mean(1, keepdims=True), atol=1e-4)


def test_methods_of_masks_explain_the_similarity_of_detections(pictures):
    """D-RISE, written out: max_j IoU(box, b_j) p_j[c] / |p_j|."""
    model, box = detector(), np.array([6.0, 0, 12, 4])
    e = kam.explain(model, pictures, "occlusion", targets=kam.targets.Box(1, box), patch=4, stride=4)
    overlap = np.array([0, 2 * 4 / (24 + 16 - 8), 4 * 4 / 24, 0, 0, 0])

    def similarity(images):
        chances = model.predict(images, verbose=0)["classes"]
        return (overlap * chances[..., 1] / np.linalg.norm(chances, axis=-1)).max(1)

    np.testing.assert_allclose(e.scores, similarity(pictures), rtol=1e-5)
    hidden = pictures.copy()
    hidden[:, :4, 8:] = 0
    np.testing.assert_allclose(e.maps[:, 1, 9], similarity(pictures) - similarity(hidden), atol=1e-5)


def test_new_data_compile_nothing(pictures):
    model = segmenter()
    traced = as_traced(model)
    for seed in range(4):
        mask = np.random.default_rng(seed).random((8, 12)) < 0.5
        for target in (kam.targets.Region(1, mask), kam.targets.Negative(kam.targets.Region(1, mask))):
            kam.explain(traced, pictures, "saliency", targets=target)
        if not seed:
            first = traced.traces
    assert traced.traces == first == (0 if BACKEND == "torch" else 2)  # which runs eagerly
    assert kam.targets.Region(1, mask) == kam.targets.Region(1, mask) != kam.targets.Region(1, ~mask)
    assert len({kam.targets.Region(1, mask), kam.targets.Region(1, mask), kam.targets.Region(2, mask)}) == 2


def test_differences_of_targets_are_differences_of_their_maps(pictures):
    model, masks = segmenter(), np.random.default_rng(1).random((5, 8, 12)) < 0.3
    first, second = kam.targets.Region(0, masks), kam.targets.PredictedRegion(1)
    parts = [
        kam.explain(model, pictures, "gradient_x_input", targets=one, batch_size=2).maps
        for one in (first, second, kam.targets.Difference(first, second), kam.targets.Negative(first))
    ]
    np.testing.assert_allclose(parts[2], parts[0] - parts[1], atol=1e-5)
    np.testing.assert_allclose(parts[3], -parts[0], atol=1e-6)


def test_the_similarity_to_an_embedding_of_each_input(pictures):
    embedder = keras.Sequential([keras.Input((8, 12, 3)), layers.Flatten(), layers.Dense(4)])
    others = np.random.default_rng(4).normal(size=(5, 4))
    e = kam.explain(embedder, pictures, "saliency", targets=kam.targets.Similarity(others), batch_size=2)
    found = embedder.predict(pictures, verbose=0)
    cosines = (found * others).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(others, axis=1)
    np.testing.assert_allclose(e.scores, cosines, rtol=1e-4, atol=1e-6)


REPRS = {
    "Region(class 1, mask of 5 x 8 x 12)": kam.targets.Region(1, np.ones((5, 8, 12))),
    "Negative(Region(class 1, mask of 8 x 12, output 'a'))": kam.targets.Negative(
        kam.targets.Region(1, np.ones((8, 12)), "a")
    ),
    "Difference(PredictedRegion(class 2), Class(5))": kam.targets.Difference(
        kam.targets.PredictedRegion(2), kam.targets.Class(5)
    ),
    "Box(class 1, (0, 2, 3.5, 4))": kam.targets.Box(1, (0, 2, 3.5, 4)),
    "Box(class 1, 2 boxes)": kam.targets.Box(1, np.ones((2, 4))),
    "Similarity(embedding of 4)": kam.targets.Similarity(np.ones(4)),
}


@pytest.mark.parametrize("text", REPRS)
def test_a_target_is_printed_in_one_short_line_without_its_arrays(text):
    assert repr(REPRS[text]) == text


def test_an_explanation_keeps_the_name_of_its_target(pictures, tmp_path):
    target = kam.targets.Region(1, np.ones((5, 8, 12)))
    e = kam.explain(segmenter(), pictures, "saliency", targets=target)
    again = kam.Explanation.load(e.save(tmp_path / "maps.npz"))
    assert e.target_name == again.target_name == "Region(class 1, mask of 5 x 8 x 12)"
    assert kam.explain(segmenter(), pictures, "saliency", targets=sky).target_name == "sky"


def sky(outputs):
    return ops.mean(outputs[..., 0], axis=(1, 2))


def test_boxes_are_decoded_by_a_function(pictures):
    model = detector()
    box = np.array([6.0, 0, 12, 4])
    offsets = keras.Model(model.inputs, {"boxes": (model.output["boxes"] - 3) / 2, "classes": model.output["classes"]})
    target = kam.targets.Box(1, box, decode=lambda found, outputs: 2 * found + 3)
    for method in ("saliency", "rise"):
        e = kam.explain(model, pictures, method, targets=kam.targets.Box(1, box), **METHODS[method])
        found = kam.explain(offsets, pictures, method, targets=target, **METHODS[method])
        np.testing.assert_allclose(found.maps, e.maps, atol=1e-5 * np.abs(e.maps).max())


BAD = {
    "saliency: the score of input 0 is NaN or Inf": lambda: lambda y: ops.log(-ops.sum(y, axis=(1, 2, 3))),
    "Region has data of 3 inputs, and there are 5 inputs": lambda: kam.targets.Region(1, np.ones((3, 8, 12))),
    r"a mask of shape \(4, 4\) does not fit the segmentation of shape \(8, 12\)": lambda: kam.targets.Region(
        1, np.ones((4, 4))
    ),
    "class 7 does not exist; there are classes 0 to 2": lambda: kam.targets.PredictedRegion(7),
    "mask of Region must have the axes of the output, such as": lambda: kam.targets.Region(1, 5),
    "mask of Region must be an array of numbers": lambda: kam.targets.Region(1, "sky"),
    "a box has 4 coordinates": lambda: kam.targets.Box(1, [1, 2]),
    "output 'boxes' does not exist": lambda: kam.targets.Box(1, [1, 2, 3, 4]),
    "the target function raised .*; it gets the outputs of a batch": lambda: lambda y: y[:, 0, 0, 0] * ops.ones((5,)),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_targets_get_one_line(message, pictures):
    with pytest.raises(ValueError, match=message) as caught:
        kam.explain(segmenter(), pictures, "saliency", targets=BAD[message](), batch_size=2)
    assert "\n" not in str(caught.value)
