"""compare(): the same as explaining and measuring one by one, for arrays and streams."""

import re

import keras
import numpy as np
import pytest
from helpers import BACKEND, gap_network, traced
from keras import layers

import keras_actmaps as kam
from keras_actmaps.metrics import METRICS, selection

NETWORK = gap_network((12, 16, 3))
IMAGES = np.random.default_rng(0).random((7, 12, 16, 3), "float32")
BOXES = np.array([(2, 3, 8, 9), (0, 0, 5, 4), (6, 8, 12, 14), (0, 0, 0, 0), (1, 1, 7, 7), (3, 0, 12, 16), (5, 5, 6, 9)])
MASKS = np.zeros((7, 12, 16), bool)
for mask, (y0, x0, y1, x1) in zip(MASKS, BOXES):
    mask[y0:y1, x0:x1] = True
OF_MODEL = ["deletion", ("insertion", {"steps": 5}), "average_drop"]
OF_TRUTH = [
    "pointing_game",
    "pixel_average_precision",
    ("box_iou", {"threshold": 0.5}),
    "max_box_accuracy",
    "sparseness",
]
ROWS = ["gradcam", ("lrp", {"rule": "gamma"}), "gradient_x_input"]


def stream(*sizes):
    start = 0
    for size in sizes:
        now = slice(start, start + size)
        yield IMAGES[now], np.zeros(size, int), {"masks": MASKS[now], "boxes": BOXES[now]}
        start += size


def alone(row, column):
    """The values of one method and metric, computed separately."""
    method, settings = (row, {}) if isinstance(row, str) else row
    metric, chosen = (column, {}) if isinstance(column, str) else column
    e = kam.explain(NETWORK, IMAGES, method, **settings)
    function = METRICS[metric].function
    if column in OF_MODEL:
        return function(NETWORK, IMAGES, e, **chosen)
    truth = {"box_iou": [BOXES], "max_box_accuracy": [BOXES], "sparseness": []}.get(metric, [MASKS])
    return function(e, *truth, **chosen)


@pytest.mark.parametrize("way", ["array", "stream", "one by one"])
def test_the_table_equals_explaining_and_measuring_one_by_one(way):
    singles = [(image, 0, {"masks": mask, "boxes": box}) for image, mask, box in zip(IMAGES, MASKS, BOXES)]
    inputs = {"array": IMAGES, "stream": stream(3, 3, 1), "one by one": singles}
    truth = {"masks": MASKS, "boxes": BOXES} if way == "array" else {}
    explanations, table = kam.compare(NETWORK, inputs[way], ROWS, OF_MODEL + OF_TRUTH, batch_size=3, **truth)
    assert table.methods == ("gradcam", "lrp rule=gamma", "gradient_x_input")
    assert table.metrics[1] == "insertion steps=5" and table.better[:2] == ("lower", "higher")
    for row, e, values in zip(ROWS, explanations, table.values):
        method, settings = (row, {}) if isinstance(row, str) else row
        whole = kam.explain(NETWORK, IMAGES, method, **settings)
        np.testing.assert_allclose(e.maps, whole.maps, atol=1e-5 * np.abs(whole.maps).max())
        np.testing.assert_array_equal(e.targets, whole.targets)
        assert (e.residual is None) == (method != "lrp")
        if e.residual is not None:
            np.testing.assert_allclose(e.residual, whole.residual, atol=1e-4)
        for column, found in zip(OF_MODEL + OF_TRUTH, values):
            np.testing.assert_allclose(found, alone(row, column), atol=2e-4, err_msg=str(column))


def test_images_without_a_mask_are_left_out_and_counted():
    _, table = kam.compare(NETWORK, IMAGES, ["gradcam"], ["pointing_game"], masks=MASKS)
    assert np.isnan(table.values[0, 0]).tolist() == [False] * 3 + [True] + [False] * 3
    assert table.counts.tolist() == [[6]] and "left out: pointing_game 1" in table.describe()


def test_the_default_metrics_are_those_that_the_truth_allows():
    _, table = kam.compare(NETWORK, IMAGES[:2], ["gradcam"])
    assert table.metrics == ("deletion", "insertion")
    _, table = kam.compare(NETWORK, stream(2), ["gradcam"])
    assert table.metrics == ("deletion", "insertion", "pointing_game", "energy_pointing", "box_iou")
    of_masks = {
        "pointing_game",
        "energy_pointing",
        "mass_accuracy",
        "rank_accuracy",
        "pixel_average_precision",
        "roc_auc",
    }
    assert set(METRICS) - set(selection.suitable_metrics({})) == of_masks | {"box_iou", "max_box_accuracy"}


def test_maps_are_kept_of_the_first_images_only():
    explanations, table = kam.compare(NETWORK, stream(3, 3, 1), ["gradcam", "saliency"], ["sparseness"], keep=4)
    whole = kam.explain(NETWORK, IMAGES[:4], "saliency")
    np.testing.assert_allclose(explanations[1].maps, whole.maps, atol=1e-6)
    np.testing.assert_allclose(explanations[1].scores, whole.scores, rtol=1e-5)
    assert table.values.shape == (2, 1, 7)
    assert len(kam.compare(NETWORK, stream(3, 3, 1), ["gradcam"], ["sparseness"], keep=0).explanations[0]) == 0


def test_targets_are_those_passed():
    labels = np.array([0, 3, 1, 2, 2, 0, 1])
    for inputs, targets in [
        (IMAGES, labels),
        ([(IMAGES[:4], labels[:4]), (IMAGES[4:], labels[4:])], "labels"),
        (IMAGES, lambda outputs: outputs[:, 2]),
        (IMAGES, 2),
    ]:
        explanations, table = kam.compare(NETWORK, inputs, ["gradcam"], ["deletion"], targets=targets)
        expected_targets = labels if isinstance(targets, str) else targets
        e = kam.explain(NETWORK, IMAGES, "gradcam", targets=expected_targets)
        np.testing.assert_allclose(explanations[0].maps, e.maps, atol=1e-6)
        expected = METRICS["deletion"].function(NETWORK, IMAGES, e, targets=targets if callable(targets) else None)
        np.testing.assert_allclose(table.values[0, 0], expected, atol=1e-5)


def test_passes_are_counted_without_padding_and_time_without_compiling():
    rows = ["gradcam", ("occlusion", {"patch": 4, "stride": 4}), ("rise", {"samples": 9, "cells": 3}), "guided_gradcam"]
    for inputs in (IMAGES, stream(4, 3)):
        _, table = kam.compare(NETWORK, inputs, rows, ["sparseness"], batch_size=5)
        # one pass for the predicted class; occlusion runs the whole image and 3 x 4 patches
        assert table.passes.tolist() == [1, 1 + 1 + 12, 1 + 9, 1 + 2]
        assert (table.seconds > 0).all() and (table.seconds < 10).all()


@traced
def test_batches_of_a_stream_compile_nothing_new():
    probe = kam.Probe(NETWORK)
    kam.compare(probe, stream(3), ROWS, OF_MODEL + OF_TRUTH, batch_size=3)
    before = probe.traces
    kam.compare(probe, stream(3, 3, 1), ROWS, OF_MODEL + OF_TRUTH, batch_size=3)
    assert probe.traces == before


def test_bad_arguments_are_refused():
    for arguments, message in [
        ({"methods": ["magic"]}, "method must be one of cam, gradcam, .*, got 'magic'"),
        ({"methods": [None]}, "method must be one of cam, gradcam, .*, got None"),
        ({"methods": ["gradcam", "gradcam"]}, "methods must differ in name or settings, got 'gradcam' more than once"),
        ({"methods": "gradcam"}, r"methods must be a list of names or (name, settings), got 'gradcam'"),
        ({"methods": []}, r"methods must be a list of names or (name, settings), got []"),
        ({"methods": 3}, r"methods must be a list of names or (name, settings), got 3"),
        ({"methods": [("lrp", "gamma")]}, r"methods must be a list of names or (name, settings), got ('lrp', 'gamma')"),
        ({"metrics": []}, r"metrics must be a list of names or (name, settings), got []"),
        ({"metrics": [("deletion", {"steps": 0})]}, "steps must be an integer >= 1"),
        ({"keep": -1}, "keep must be an integer >= 0 or None, got -1"),
        ({"methods": [("gradcam", {"steps": 3})]}, "gradcam has no setting 'steps'; it has: none"),
        ({"methods": [("occlusion", {"patch": 99})]}, "patch"),
        ({"metrics": ["beauty"]}, "metric must be one of deletion, .*, got 'beauty'"),
        ({"metrics": [("deletion", {"batch_size": 3})]}, "deletion has no setting 'batch_size'; it has: steps"),
        ({"metrics": ["pointing_game"]}, "pointing_game requires masks, and the images have none"),
        ({"metrics": ["box_iou"], "masks": MASKS}, "box_iou requires boxes, and the images have none"),
        ({"masks": MASKS[:3]}, "masks of 3 images do not fit 7 images"),
        ({"targets": "all"}, "methods are compared on one target per image"),
        ({"targets": "labels"}, "targets='labels', but the dataset has inputs only"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1 .*, got 0"),
        ({"targets": [1, 2]}, "targets of 2 images do not fit 7 images"),
    ]:
        pattern = re.sub(r"([()\[\]])", r"\\\1", message)
        with pytest.raises(ValueError, match=pattern):
            kam.compare(NETWORK, IMAGES, **{"methods": ["gradcam"], **arguments})
    with pytest.raises(ValueError, match="a stream contains its own masks and boxes"):
        kam.compare(NETWORK, stream(3), ["gradcam"], masks=MASKS)
    with pytest.raises(ValueError, match="targets of a stream must be None, a class, a function of the outputs or"):
        kam.compare(NETWORK, stream(3), ["gradcam"], targets=[0, 1, 2])
    with pytest.raises(ValueError, match=r"targets must be a class, \(N,\) classes or a function of the outputs"):
        kam.compare(NETWORK, IMAGES, ["gradcam"], targets=[[0], [1, 2]])
    with pytest.raises(ValueError, match="images must be an array or an iterable of batches, got int"):
        kam.compare(NETWORK, 3, ["gradcam"])
    for nothing in ([], IMAGES[:0]):
        with pytest.raises(ValueError, match="there are no images to compare methods on"):
            kam.compare(NETWORK, nothing)


def test_methods_that_do_not_fit_are_passed_to_skip():
    inputs = keras.Input((12, 16, 3))
    flat = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(inputs))))
    with pytest.raises(ValueError, match="cam"):
        kam.compare(flat, IMAGES, ["cam", "gradcam"], ["sparseness"])
    skipped = []
    table = kam.compare(flat, IMAGES, ["cam", "gradcam"], ["sparseness"], skip=lambda *what: skipped.append(what)).table
    assert table.methods == ("gradcam",) and skipped[0][0] == "cam" and isinstance(skipped[0][1], ValueError)
    with pytest.raises(ValueError, match="none of the methods fits the model"):
        kam.compare(flat, IMAGES, ["cam"], ["sparseness"], skip=lambda *what: None)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.data is TensorFlow's")
def test_a_tf_dataset_is_a_stream():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, np.zeros(7, int), {"masks": MASKS})).batch(3)
    _, table = kam.compare(NETWORK, dataset, ["gradcam"])
    e = kam.explain(NETWORK, IMAGES, "gradcam")
    np.testing.assert_allclose(table.values[0, 2], METRICS["pointing_game"].function(e, MASKS))
