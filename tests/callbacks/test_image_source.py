"""The images of an ExplainCallback: arrays, streams of every kind, and splits of data sets by name."""

import keras
import numpy as np
import pytest
from helpers.fits import BATCH, CLASSES

import keras_actmaps as kam
from keras_actmaps.callbacks.image_source import parse_split


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.parts = images, labels

    def __len__(self):
        return 4

    def __getitem__(self, number):
        return tuple(part[number * BATCH :][:BATCH] for part in self.parts)


def endless(images, labels):
    while True:
        yield images[:7], keras.utils.to_categorical(labels[:7], CLASSES)


def test_images_come_from_streams_of_any_kind(data):
    images, labels, _ = data
    streams = {
        "list": list(images[:10]),
        "PyDataset": Batches(images, labels),
        "one by one": iter(zip(images, labels)),
        "as TFDS": iter([{"image": image, "label": label} for image, label in zip(images, labels)]),
        "endless, one-hot": endless(np.tile(images, (2, 1, 1, 1)), labels),
    }
    for name, stream in streams.items():
        source = kam.ExplainCallback(stream, limit=9).source
        rows = [*range(7), 0, 1] if "endless" in name else range(9)
        np.testing.assert_array_equal(source.images, images[rows])
        if name == "list":
            assert source.labels is None
        else:
            np.testing.assert_array_equal(source.labels, labels[rows])
    assert len(kam.ExplainCallback(endless(images, labels)).source.images) == 64


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0, 1, 0], [0, 0, 1]], [1, 2]),
        ([[0.05, 0.9, 0.05], [0.9, 0.05, 0.05]], [1, 0]),  # smoothed
        ([[1, 1, 0], [0, 0, 1]], None),  # several labels of one image
        ([[0, 0, 0], [0, 0, 1]], None),
        ([[2.5, -1.0, 0.3], [0.1, 7.0, 3.0]], None),  # a regression
        ([[0.5], [1.5]], None),
        ([[3], [1]], [3, 1]),
    ],
)
def test_only_rows_that_mark_one_class_are_labels(data, rows, expected):
    source = kam.ExplainCallback(zip(data[0][:2], np.asarray(rows))).source
    assert (source.labels is None) if expected is None else (source.labels.tolist() == expected)


def test_images_are_copied(data):
    images = data[0][:5].copy()
    callback = kam.ExplainCallback(images)
    images[:] = 0
    np.testing.assert_array_equal(callback.source.images, data[0][:5])


def test_passed_labels_replace_those_of_the_stream(data):
    images, labels, masks = data
    source = kam.ExplainCallback(zip(images, labels), limit=4, labels=[3, 2, 1, 0], masks=masks[:4]).source
    assert source.labels.tolist() == [3, 2, 1, 0]
    np.testing.assert_array_equal(source.truth["masks"], masks[:4])


@pytest.mark.parametrize(
    "labels, classes",
    [
        (np.array([[0, 1], [1, 0], [0, 1]]), [1, 0, 1]),
        (np.array([[2], [0], [1]]), [2, 0, 1]),
        (np.array([2.0, 0.0, 1.0]), [2, 0, 1]),
        (np.array([0.5, 1.5, 2.0]), None),
    ],
    ids=["one-hot", "a column", "whole floats", "regression"],
)
def test_labels_are_classes_or_none(labels, classes, data):
    source = kam.ExplainCallback(zip(data[0][:3], labels)).source
    assert source.labels is None if classes is None else source.labels.tolist() == classes


def test_an_empty_stream_is_an_error():
    with pytest.raises(ValueError, match="the dataset has no images"):
        kam.ExplainCallback(iter([]))


def test_a_split_is_named_as_in_tensorflow_datasets():
    pytest.importorskip("tensorflow")
    datasets = kam.data
    images, labels, truth = next(datasets.load("drawn-grid").truth("test").as_numpy_iterator())
    source = kam.ExplainCallback("drawn-grid:test[2:5]", targets="labels").source
    np.testing.assert_array_equal(source.images, images[2:5])
    np.testing.assert_array_equal(source.labels, labels[2:5])
    for mask, position in zip(source.masks, truth["position"][2:5]):
        rows, columns = np.nonzero(mask)
        assert mask.sum() == 28**2 and rows.min() // 28 * 2 + columns.min() // 28 == position
    assert source.classes[0] == "T-shirt/top" and "stand-in" in source.notice
    assert len(kam.ExplainCallback("drawn-grid:test").source.images) == 64
    assert len(kam.ExplainCallback("drawn-grid:test[60:]", limit=70).source.images) == 70
    assert len(kam.ExplainCallback("drawn-grid:test[60:99]", limit=7).source.images) == 7
    assert parse_split("drawn-grid", None)[1:] == ("validation", 0, 64)
    with pytest.raises(ValueError, match=r"one of grid, .*, got 'mnist'"):
        kam.ExplainCallback("mnist:test[:8]")
