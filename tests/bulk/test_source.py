"""Sources: every kind gives the same rows in the same order, in other processes too; fingerprints of the content."""

import pickle

import keras
import numpy as np
import pytest
from helpers import gap_network
from PIL import Image

from keras_actmaps.bulk.request import choose_source, first_readable
from keras_actmaps.bulk.store import FolderStore


@pytest.fixture(scope="module")
def model():
    return gap_network((8, 9, 3))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (11, 8, 9, 3), "uint8")


class Batches(keras.utils.PyDataset):
    def __init__(self, inputs, labels):
        super().__init__()
        self.inputs, self.labels = inputs, labels

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return self.inputs[4 * number :][:4], self.labels[4 * number :][:4]


class Items:
    def __init__(self, inputs, labels):
        self.inputs, self.labels = inputs, labels

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        return {"image": self.inputs[row], "label": self.labels[row]}


def sources(kind, inputs, labels, folder):
    if kind == "memory map":
        np.save(folder / "inputs.npy", inputs)
        return np.load(folder / "inputs.npy", mmap_mode="r"), labels
    batches = [(inputs[start : start + 3], labels[start : start + 3]) for start in range(0, 11, 3)]
    kinds = {"arrays": (inputs, labels), "PyDataset": Batches(inputs, labels), "items": Items(inputs, labels)}
    return kinds.get(kind, iter(batches))


KINDS = ["arrays", "memory map", "PyDataset", "items", "stream"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start, stop", [(0, 11), (3, 9), (10, 11)])
def test_any_range_can_be_read_also_in_another_process(model, pixels, tmp_path, kind, start, stop):
    inputs, labels = pixels.astype("float32"), np.arange(11)
    source = choose_source(model, sources(kind, inputs, labels, tmp_path), FolderStore(tmp_path))
    assert len(source) == 11
    for one in (source, pickle.loads(pickle.dumps(source))):
        rows = list(one.rows(start, stop))
        np.testing.assert_array_equal(np.stack([row[0] for row in rows]), inputs[start:stop])
        assert [int(row[1]) for row in rows] == list(range(start, stop))


@pytest.mark.parametrize("kind", ["arrays", "memory map", "stream"])
def test_a_fingerprint_changes_with_one_value_and_with_the_order(model, pixels, tmp_path, kind):
    def fingerprint(inputs, labels, name):
        (tmp_path / name).mkdir()
        store = FolderStore(tmp_path / name)
        return choose_source(model, sources(kind, inputs, labels, store.path), store).fingerprint()

    inputs, labels = pixels.astype("float32"), np.arange(11)
    changed = inputs.copy()
    changed[7, 1, 1, 1] += 1
    found = [
        fingerprint(*arguments, str(number))
        for number, arguments in enumerate([(inputs, labels), (changed, labels), (inputs[::-1], labels)])
    ]
    assert len(set(found)) == 3
    assert fingerprint(inputs, labels, "again") == found[0]


def test_a_memory_map_is_sent_by_its_file(pixels, model, tmp_path):
    np.save(tmp_path / "inputs.npy", np.zeros((1000, 8, 9, 3), "float32"))
    source = choose_source(model, np.load(tmp_path / "inputs.npy", mmap_mode="r"), FolderStore(tmp_path))
    assert len(pickle.dumps(source)) < 2000


def test_pictures_of_a_folder_are_sorted_labeled_and_encoded(model, pixels, tmp_path):
    for number, image in enumerate(pixels):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"class{number % 2}" / f"{number:02}.png")
    source = choose_source(model, tmp_path, FolderStore(tmp_path), lambda image: image / 255)
    rows = list(source.rows(0, 11))
    order = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9]
    np.testing.assert_allclose(np.stack([row[0] for row in rows]), pixels[order] / 255, rtol=1e-6)
    assert [row[1] for row in rows] == [0] * 6 + [1] * 5


def test_an_image_of_pil_is_encoded_and_an_array_is_taken_as_it_is(model, pixels, tmp_path):
    def first(images, **settings):
        source = choose_source(model, Items(images, np.arange(11)), FolderStore(tmp_path), **settings)
        return first_readable(source)[0]

    pictures = [Image.fromarray(image) for image in pixels]
    np.testing.assert_allclose(first(pictures, preprocess=lambda image: image / 255), pixels[0] / 255, rtol=1e-6)
    np.testing.assert_array_equal(first(pixels.astype("float32")), pixels[0])


@pytest.mark.parametrize(
    "source, message", [(np.zeros((0, 8, 9, 3)), "no images"), (iter(()), "no inputs"), (3, "got int")]
)
def test_nothing_to_explain_is_an_error(model, tmp_path, source, message):
    with pytest.raises(ValueError, match=message):
        first_readable(choose_source(model, source, FolderStore(tmp_path)))


def test_arrays_of_other_lengths_are_an_error(model, pixels, tmp_path):
    with pytest.raises(ValueError, match="have 10, 11 rows"):
        choose_source(model, (pixels, np.arange(10)), FolderStore(tmp_path))
