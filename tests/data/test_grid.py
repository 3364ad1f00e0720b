"""The 2x2 grid: where the garment lies, what repeats from run to run and what does not."""

import numpy as np
import pytest

from keras_actmaps import data
from keras_actmaps.data import drawn, sources
from keras_actmaps.data.grid import DRAWN, place


def cell(images, position):
    row, column = divmod(int(position), 2)
    return images[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]


def first(dataset):
    return next(dataset.as_numpy_iterator())


def test_the_garment_is_where_the_position_says_and_digits_elsewhere():
    garments, digits = np.full((4, 28, 28, 1), 200, "uint8"), np.zeros((4, 3, 28, 28, 1), "uint8")
    digits[:] = np.arange(1, 4, dtype="uint8").reshape(1, 3, 1, 1, 1)
    images = place(garments, digits, np.arange(4)).numpy()
    for position, image in enumerate(images):
        others = [cell(image, p) for p in range(4) if p != position]
        assert (cell(image, position) == 200).all()
        assert [int(other[0, 0, 0]) for other in others] == [1, 2, 3]
        assert all((other == other[0, 0, 0]).all() for other in others)


def test_drawn_grids_hold_the_drawn_garments():
    images, labels, truth = first(data.load("drawn-grid", limit=50).truth("test"))
    garments, expected = drawn.garments(DRAWN["test"], 2)
    np.testing.assert_array_equal(labels, expected[:50])
    for image, garment, position in zip(images, garments, truth["position"]):
        np.testing.assert_allclose(cell(image, position) * 255, garment, atol=1e-3)
    assert set(truth["position"]) == {0, 1, 2, 3}


def test_the_test_grid_repeats_and_the_training_grid_does_not():
    one, two = (data.load("drawn-grid", seed=seed, batch_size=size, limit=128) for seed, size in [(0, 16), (7, 128)])
    np.testing.assert_array_equal(first(one.test)[0], first(two.test)[0][:16])
    epochs = [np.concatenate([images for images, _ in two.train.as_numpy_iterator()]) for _ in range(2)]
    assert sorted(len(set(map(bytes, epoch))) for epoch in epochs) == [128, 128]
    assert not set(map(bytes, epochs[0])) & set(map(bytes, epochs[1]))
    again = data.load("drawn-grid", seed=7, batch_size=128, limit=128)
    np.testing.assert_array_equal(first(again.train)[0], epochs[0])


def test_the_model_sees_no_position():
    loaded = data.load("drawn-grid", limit=64)
    assert [len(batch) for batch in loaded.test.as_numpy_iterator()] == [2]
    assert len(loaded.test.element_spec) == 2
    assert "stand-in" in loaded.info.notice


def test_training_validation_and_test_share_no_garment():
    loaded = data.load("drawn-grid")
    counts = loaded.info.counts
    assert counts["train"] + counts["validation"] == DRAWN["train"]
    seen = {}
    for split in ("train", "validation", "test"):
        images, positions = [], []
        for batch, _, truth in loaded.truth(split).take(8).as_numpy_iterator():
            images += list(batch)
            positions += list(truth["position"])
        seen[split] = {cell(image, position).tobytes() for image, position in zip(images, positions)}
    assert not seen["train"] & seen["validation"] and not seen["train"] & seen["test"]


def test_display_inverts_normalise():
    info = data.load("drawn-grid").info
    pixels = np.arange(256, dtype="uint8")
    np.testing.assert_array_equal(info.display(info.normalise(pixels)), pixels)


def test_the_real_grid_is_whole_and_repeats(tfds_data_dir):
    loaded = data.load("grid", tfds_data_dir)
    assert loaded.info.counts == {"train": 58_800, "validation": 1_200, "test": 10_000}
    assert loaded.info.classes[5] == "Sandal"
    garments, labels = sources.arrays("fashion_mnist", "test", tfds_data_dir)
    images, found, truth = first(loaded.truth("test"))
    np.testing.assert_array_equal(found, labels[:64])
    for i in range(64):
        np.testing.assert_allclose(cell(images[i], truth["position"][i]) * 255, garments[i], atol=1e-3)


def test_unknown_names_and_absent_data_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no data set 'nope'; there are: grid, drawn-grid, cifar10, pets, folder:DIR"):
        data.load("nope")
    with pytest.raises(ValueError, match="limit=0 leaves no image"):
        data.load("drawn-grid", limit=0)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(sources.tfds.core.constants, "DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(sources, "_reachable", lambda name: False)
    with pytest.raises(data.DataUnavailable, match=r"'fashion_mnist' is not prepared in .* give a folder"):
        data.load("grid", tmp_path)
    assert data.default(tmp_path)[0] == "drawn-grid"
    assert "drawn-grid, a drawn stand-in, because" in data.default(tmp_path)[1]


def test_the_default_is_the_real_grid_where_it_is_at_hand(tfds_data_dir):
    assert data.default(tfds_data_dir)[0] == "grid"
