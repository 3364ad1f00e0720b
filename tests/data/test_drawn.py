"""Tests of the drawn garments and digits: reproducible, balanced, varied, distinct, within the tile."""

import numpy as np
import pytest

from keras_actmaps.data import drawn

INK = 40


@pytest.fixture(scope="module")
def garments():
    return drawn.draw_garments(1000, seed=1)


@pytest.fixture(scope="module")
def labeled_digits():
    rng = np.random.default_rng(1)
    labels = np.arange(1000) % 10
    return np.stack([drawn.draw_digit(label, rng) for label in labels])[..., None], labels


def nearest_neighbor_accuracy(tiles, labels, known):
    flat = tiles.reshape(len(tiles), -1).astype(np.float64)
    distances = (flat[:known] ** 2).sum(1) - 2 * flat[known:] @ flat[:known].T
    return np.mean(labels[distances.argmin(1)] == labels[known:])


def mean_pairwise_difference(tiles):
    pairs = np.abs(tiles[:, None].astype(np.float64) - tiles[None]).mean((2, 3, 4))
    return pairs[np.triu_indices(len(tiles), 1)].mean()


def border(tiles):
    flat = tiles[..., 0]
    return np.concatenate([flat[:, 0], flat[:, -1], flat[:, 1:-1, 0], flat[:, 1:-1, -1]], axis=1)


def test_names_are_those_of_fashion_mnist_in_its_order():
    first, second = drawn.GARMENTS[:5], drawn.GARMENTS[5:]
    assert first == ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
    assert second == ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def test_same_seed_gives_identical_tiles_and_another_seed_others():
    tiles, labels = drawn.draw_garments(30, seed=7)
    again, labels_again = drawn.draw_garments(30, seed=7)
    others, other_labels = drawn.draw_garments(30, seed=8)
    assert np.array_equal(tiles, again) and np.array_equal(labels, labels_again)
    assert not np.array_equal(labels, other_labels)
    assert not any(np.array_equal(tile, other) for tile in tiles for other in others)
    assert np.array_equal(drawn.draw_digits(30, seed=7), drawn.draw_digits(30, seed=7))
    assert not np.array_equal(drawn.draw_digits(30, seed=7), drawn.draw_digits(30, seed=8))


def test_shapes_and_types(garments):
    tiles, labels = garments
    digits = drawn.draw_digits(12, seed=0)
    assert tiles.shape == (1000, 28, 28, 1) and tiles.dtype == np.uint8
    assert labels.shape == (1000,) and labels.dtype == np.int64
    assert digits.shape == (12, 28, 28, 1) and digits.dtype == np.uint8
    assert drawn.draw_garments(0, seed=0)[0].shape == drawn.draw_digits(0, seed=0).shape == (0, 28, 28, 1)


def test_garments_are_balanced_and_shuffled(garments):
    labels = garments[1]
    assert np.bincount(labels).tolist() == [100] * 10
    assert (labels != np.arange(1000) % 10).mean() > 0.8
    assert np.bincount(drawn.draw_garments(25, seed=0)[1], minlength=10).max() == 3


def test_labels_belong_to_their_tiles(garments):
    tiles, labels = garments
    means = np.stack([tiles[labels == label].mean(0) for label in range(10)])
    rng = np.random.default_rng(99)
    for label in range(10):
        mean = np.mean([drawn.draw_garment(label, rng) for _ in range(30)], axis=0)
        assert np.abs(means[..., 0] - mean).mean((1, 2)).argmin() == label


def test_each_garment_has_the_shape_of_its_class(garments):
    tiles, labels = garments
    ink = {name: (tiles[labels == i, ..., 0] > INK).mean(0) for i, name in enumerate(drawn.GARMENTS)}
    sleeve_tips = {name: shape[17:20, 3:6].mean() for name, shape in ink.items()}
    assert ink["Trouser"][20:26, 13:15].mean() < 0.7 * ink["Trouser"][20:26, 10:18].mean()
    assert sleeve_tips["T-shirt/top"] < 0.05 < 0.4 < sleeve_tips["Pullover"]
    assert 1.5 * ink["Dress"][10:12].mean() < ink["Dress"][23:26].mean()
    assert ink["Coat"][26].mean() > 0.2 > 0.1 > ink["Shirt"][26].mean()
    assert max(ink["Sneaker"][:5].max(), ink["Sandal"][:3].max()) < 0.1
    assert ink["Sandal"][10:18].mean() < 0.5 * ink["Sneaker"][10:18].mean()
    assert ink["Bag"][5:10].mean() < 0.6 * ink["Bag"][15:22].mean()
    assert ink["Ankle boot"][4:10, :12].mean() < 0.1 < 0.8 < ink["Ankle boot"][4:10, 18:24].mean()


@pytest.mark.parametrize("label", range(10))
def test_no_two_garments_of_a_class_are_alike(garments, label):
    tiles = garments[0][garments[1] == label][:40]
    assert mean_pairwise_difference(tiles) > 15
    assert mean_pairwise_difference(255 * (tiles > INK)) > 12
    assert len(np.unique(tiles, axis=0)) == len(tiles)


@pytest.mark.parametrize("digit", range(10))
def test_no_two_drawings_of_a_digit_are_alike(labeled_digits, digit):
    assert mean_pairwise_difference(labeled_digits[0][labeled_digits[1] == digit][:40]) > 13


def test_garments_are_classified_by_their_nearest_neighbor(garments):
    assert nearest_neighbor_accuracy(*garments, known=700) > 0.92


def test_digits_are_classified_by_their_nearest_neighbor(labeled_digits):
    assert nearest_neighbor_accuracy(*labeled_digits, known=700) > 0.95


def test_garments_fill_part_of_the_tile_on_a_black_background(garments):
    ink = (garments[0] > INK).mean((1, 2, 3))
    assert ink.min() > 0.1 and ink.max() < 0.75
    assert garments[0].max((1, 2, 3)).min() >= 90
    assert (border(garments[0]) > INK).mean() < 0.06
    assert np.median(border(garments[0])) == 0


def test_digits_are_thin_bright_strokes_inside_the_tile(labeled_digits):
    tiles = labeled_digits[0]
    ink = (tiles > INK).mean((1, 2, 3))
    assert ink.min() > 0.03 and ink.max() < 0.45
    assert tiles.max((1, 2, 3)).min() >= 200
    assert (border(tiles) > INK).any(1).mean() < 0.05


def test_every_digit_is_drawn(labeled_digits):
    known, labels = labeled_digits
    fresh = drawn.draw_digits(300, seed=3)
    distances = np.stack([np.abs(known.astype(np.int64) - tile).mean((1, 2, 3)) for tile in fresh])
    assert np.bincount(labels[distances.argmin(1)], minlength=10).min() > 10


@pytest.mark.parametrize("label", [-1, 10, 3.5])
def test_an_unknown_label_raises(label):
    with pytest.raises(ValueError, match=rf"^the label of a garment must be an integer from 0 to 9, got {label}$"):
        drawn.draw_garment(label, np.random.default_rng(0))
    with pytest.raises(ValueError, match=rf"^a digit must be an integer from 0 to 9, got {label}$"):
        drawn.draw_digit(label, np.random.default_rng(0))
