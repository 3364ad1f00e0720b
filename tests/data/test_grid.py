"""The 2x2 grid: the position of the garment, and which splits are the same in every run."""

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


def test_the_garment_is_at_its_position_and_digits_are_elsewhere():
    garments, digits = np.full((4, 28, 28, 1), 200, "uint8"), np.zeros((4, 3, 28, 28, 1), "uint8")
    digits[:] = np.arange(1, 4, dtype="uint8").reshape(1, 3, 1, 1, 1)
    images = place(garments, digits, np.arange(4)).numpy()
    for position, image in enumerate(images):
        others = [cell(image, p) for p in range(4) if p != position]
        assert (cell(image, position) == 200).all()
        assert [int(other[0, 0, 0]) for other in others] == [1, 2, 3]
        assert all((other == other[0, 0, 0]).all() for other in others)


def test_drawn_grids_contain_the_drawn_garments():
    images, labels, truth = first(data.load("drawn-grid", limit=50).truth("test"))
    garments, expected = drawn.draw_garments(DRAWN["test"], 2)
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


def test_the_position_is_not_passed_to_the_model():
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


def test_display_inverts_normalize():
    info = data.load("drawn-grid").info
    pixels = np.arange(256, dtype="uint8")
    np.testing.assert_array_equal(info.display(info.normalize(pixels)), pixels)
    np.testing.assert_allclose(info.normalize(pixels), pixels / 255, rtol=1e-6)
    np.testing.assert_array_equal(info.normalise(pixels), info.normalize(pixels))


def test_the_real_grid_is_complete_and_the_same_in_every_run(tfds_data_dir):
    loaded = data.load("grid", tfds_data_dir)
    assert loaded.info.counts == {"train": 58_800, "validation": 1_200, "test": 10_000}
    assert loaded.info.classes[5] == "Sandal"
    garments, labels = sources.arrays("fashion_mnist", "test", tfds_data_dir)
    images, found, truth = first(loaded.truth("test"))
    np.testing.assert_array_equal(found, labels[:64])
    for i in range(64):
        np.testing.assert_allclose(cell(images[i], truth["position"][i]) * 255, garments[i], atol=1e-3)


def test_unknown_names_and_missing_data_raise_one_line(tmp_path, monkeypatch):
    with pytest.raises(
        ValueError,
        match="data set must be one of grid, drawn-grid, cifar10, pets, imdb, drawn-reviews, folder:DIR, got 'nope'",
    ):
        data.load("nope")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(sources._tfds().core.constants, "DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(sources, "_is_reachable", lambda name: False)
    with pytest.raises(
        data.DataUnavailable, match=r"'fashion_mnist' is not prepared in .* cannot be reached; pass the folder"
    ):
        data.load("grid", tmp_path)
    assert data.default(tmp_path)[0] == "drawn-grid"
    assert "drawn-grid, a drawn stand-in, because" in data.default(tmp_path)[1]


def test_the_default_is_the_real_grid_where_it_is_available(tfds_data_dir):
    assert data.default(tfds_data_dir)[0] == "grid"


@pytest.mark.parametrize("name", ["drawn-grid", "cifar10", "folder:absent"])
@pytest.mark.parametrize(
    "settings, message",
    [
        ({"limit": 0}, "limit must be an integer >= 1 or None, got 0"),
        ({"limit": float("nan")}, "limit must be an integer >= 1 or None, got nan"),
        ({"batch_size": -1}, "batch_size must be an integer >= 1 and <= 1,000,000, got -1"),
        ({"batch_size": "x"}, "batch_size must be an integer >= 1 and <= 1,000,000, got 'x'"),
        ({"seed": -1}, "seed must be an integer >= 0 and .*, got -1"),
        ({"steps": 3}, "has no setting 'steps'; it has: batch_size, seed, limit"),
    ],
)
def test_bad_settings_raise_one_line_before_any_data_is_read(name, settings, message):
    with pytest.raises(ValueError, match=message):
        data.load(name, **settings)


@pytest.mark.parametrize("name", ["pets", "folder:absent"])
@pytest.mark.parametrize("size", [0, -8, "x", 10**9, 12.5])
def test_a_bad_size_raises_one_line(name, size):
    with pytest.raises(ValueError, match=r"size must be an integer >= 1 and <= 4,096( or None)?, got"):
        data.load(name, size=size)
