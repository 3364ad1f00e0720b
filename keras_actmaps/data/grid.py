"""2x2 grids of one garment at a random position and three digits, from Fashion-MNIST and MNIST or drawn."""

import os
from collections.abc import Callable
from functools import lru_cache

import tensorflow as tf

from keras_actmaps.core.settings import Seed
from keras_actmaps.data import drawn, sources
from keras_actmaps.data.records import BatchSize, Data, Info, Limit, limit_counts

TILE = 28
VALIDATION = 0.02  # the share of the training images that is held out
FIXED_SEEDS = {"train": 0, "validation": 1, "test": 2}  # of the grids that are the same in every run
DRAWN = {"train": 12_000, "test": 2_000}

Tiles = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # garments, their labels, digits


def grid(
    data_dir: str | os.PathLike | None = None, *, batch_size: BatchSize = 64, seed: Seed = 0, limit: Limit = None
) -> Data:
    """Fashion-MNIST among MNIST: images (N, 56, 56, 1) in 0..1, labeled by the garment.

    The truth is the garment's `position`, 0..3 by rows. The grids of the validation and test splits are the same in
    every run; those of the training split are composed again in every epoch, with digits drawn with replacement.

    Raises
    ------
    DataUnavailable
        Where the data is neither prepared nor can be downloaded.
    """
    classes = sources.class_names("fashion_mnist", data_dir)
    splits = sources.builder("fashion_mnist", data_dir).info.splits
    root = sources.builder("mnist", data_dir).data_path.parents[1]

    def tiles(split: str) -> Tiles:
        garments, labels = sources.arrays("fashion_mnist", split, data_dir)
        return garments, labels, sources.arrays("mnist", split, data_dir)[0]

    sizes = {split: splits[split].num_examples for split in ("train", "test")}
    info = Info("grid", classes, _SHAPE, _counts(sizes, limit), f"Fashion-MNIST and MNIST through TFDS, {root}")
    return _grids(info, tiles, batch_size, seed)


def drawn_grid(
    data_dir: str | os.PathLike | None = None, *, batch_size: BatchSize = 64, seed: Seed = 0, limit: Limit = None
) -> Data:
    """A stand-in for `grid` with the same shapes and labels, drawn with OpenCV; `data_dir` is not used."""
    source, notice = "drawn with OpenCV (a stand-in, no real data)", "drawn-grid: drawn garments and digits, a stand-in"
    info = Info("drawn-grid", drawn.GARMENTS, _SHAPE, _counts(DRAWN, limit), source, notice=f"{notice} for real data")
    return _grids(info, _drawn_tiles, batch_size, seed)


@lru_cache(maxsize=2)
def _drawn_tiles(split: str) -> Tiles:
    seed = {"train": 1, "test": 2}[split]
    garments, labels = drawn.draw_garments(DRAWN[split], seed)
    return tf.constant(garments), tf.constant(labels), tf.constant(drawn.draw_digits(DRAWN[split] // 2, seed + 10))


_SHAPE = (2 * TILE, 2 * TILE, 1)


def _counts(sizes: dict[str, int], limit: int | None) -> dict[str, int]:
    held_out = round(sizes["train"] * VALIDATION)
    return limit_counts({"train": sizes["train"] - held_out, "validation": held_out, "test": sizes["test"]}, limit)


def _grids(info: Info, tiles: Callable[[str], Tiles], batch_size: int, seed: int) -> Data:
    """The pipelines of grids of the tiles that `tiles("train" or "test")` returns."""

    def build(split: str, epoch_seed: tf.Tensor | None) -> tf.data.Dataset:
        with tf.init_scope():  # outside of the function of an epoch, so that all epochs share the tiles
            garments, labels, digits = _part(tiles("test" if split == "test" else "train"), split)
        count = info.counts[split]
        layout_seed = tf.constant(FIXED_SEEDS[split], tf.int64) if epoch_seed is None else epoch_seed
        grids = tf.data.Dataset.from_tensor_slices(_layout(layout_seed, count, len(digits)))
        if epoch_seed is not None:
            grids = grids.shuffle(count, epoch_seed, reshuffle_each_iteration=False)

        def assemble(index: tf.Tensor, positions: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, dict]:
            images = place(tf.gather(garments, index), tf.gather(digits, chosen), positions)
            return tf.cast(images, tf.float32) / 255.0, tf.gather(labels, index), {"position": positions}

        return grids.batch(batch_size).map(assemble, tf.data.AUTOTUNE)

    return Data(info, build, seed)


def _part(tiles: Tiles, split: str) -> Tiles:
    """The training or the held-out part of the garments, labels and digits; all of them for the test split."""
    garments, labels, digits = (_part_of(tile, split) for tile in tiles)
    return garments, labels, digits


def _part_of(tile: tf.Tensor, split: str) -> tf.Tensor:
    kept = round(len(tile) * (1 - VALIDATION))
    return {"train": tile[:kept], "validation": tile[kept:], "test": tile}[split]


def _layout(seed: tf.Tensor, count: int, digits: int) -> Tiles:
    """`count` indices of garments, their positions, and three digits for each, from one seed."""
    seeds = tf.random.split(tf.stack([seed, 0]), 2)
    positions = tf.random.stateless_uniform((count,), seeds[0], 0, 4, tf.int64)
    chosen = tf.random.stateless_uniform((count, 3), seeds[1], 0, digits, tf.int64)
    return tf.range(count, dtype=tf.int64), positions, chosen


def place(garments: tf.Tensor, digits: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Grids (N, 56, 56, 1) of garments (N, 28, 28, 1) at `positions` (N,) in 0..3 and digits (N, 3, 28, 28, 1)."""
    tiles = tf.concat([garments[:, None], digits], axis=1)
    cells = tf.range(4, dtype=tf.int64)[None]
    positions = positions[:, None]
    moved = cells + tf.cast(cells < positions, tf.int64)
    chosen = tf.where(cells == positions, tf.zeros_like(moved), moved)
    rows = tf.reshape(tf.gather(tiles, chosen, batch_dims=1), (-1, 2, 2, TILE, TILE, 1))
    return tf.reshape(tf.transpose(rows, (0, 1, 3, 2, 4, 5)), (-1, *_SHAPE))
