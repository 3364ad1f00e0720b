"""The 2x2 grid: one garment at a random place among three digits, from Fashion-MNIST and MNIST or drawn."""

from collections.abc import Callable
from functools import lru_cache

import tensorflow as tf

from keras_actmaps.data import drawn, sources
from keras_actmaps.data.records import Data, Info, limited

TILE = 28
VALIDATION = 0.02  # the share of the training images held out
FIXED_SEEDS = {"train": 0, "validation": 1, "test": 2}  # of the grids that stay the same in every run
DRAWN = {"train": 12_000, "test": 2_000}

Tiles = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # garments, their labels, digits


def grid(data_dir=None, batch_size: int = 64, seed: int = 0, limit: int | None = None) -> Data:
    """Fashion-MNIST among MNIST: (N,56,56,1) in 0..1, label = the garment, truth = its `position` 0..3 by rows.

    The grids of the validation and test splits are the same in every run; those of the training split are
    drawn anew in every epoch, the digits with replacement.
    """
    classes = sources.class_names("fashion_mnist", data_dir)
    sizes = {split: sources.builder("fashion_mnist", data_dir).info.splits[split].num_examples
             for split in ("train", "test")}  # fmt: skip
    sources.builder("mnist", data_dir)

    def tiles(split: str) -> Tiles:
        garments, labels = sources.arrays("fashion_mnist", split, data_dir)
        return garments, labels, sources.arrays("mnist", split, data_dir)[0]

    source = f"Fashion-MNIST and MNIST through TFDS, {sources.builder('mnist', data_dir).data_path.parents[1]}"
    return _grids("grid", classes, sizes, source, tiles, batch_size, seed, limit)


def drawn_grid(data_dir=None, batch_size: int = 64, seed: int = 0, limit: int | None = None) -> Data:
    """A stand-in for `grid` with the same shapes and labels, drawn with OpenCV; `data_dir` is not needed."""
    notice = "drawn-grid: drawn garments and digits, a stand-in for real data"
    return _grids("drawn-grid", drawn.GARMENTS, DRAWN, "drawn with OpenCV (a stand-in, no real data)",
                  _drawn_tiles, batch_size, seed, limit, notice)  # fmt: skip


@lru_cache(maxsize=2)
def _drawn_tiles(split: str) -> Tiles:
    seed = {"train": 1, "test": 2}[split]
    garments, labels = drawn.garments(DRAWN[split], seed)
    return tf.constant(garments), tf.constant(labels), tf.constant(drawn.digits(DRAWN[split] // 2, seed + 10))


def _grids(
    name: str,
    classes: tuple[str, ...],
    sizes: dict[str, int],
    source: str,
    tiles: Callable[[str], Tiles],
    batch_size: int,
    seed: int,
    limit: int | None,
    notice: str = "",
) -> Data:
    held_out = round(sizes["train"] * VALIDATION)
    counts = limited({"train": sizes["train"] - held_out, "validation": held_out, "test": sizes["test"]}, limit)

    def build(split: str, training: bool) -> tf.data.Dataset:
        garments, labels, digits = _part(tiles("test" if split == "test" else "train"), split)
        count = counts[split]
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
        if not training:
            seeds = tf.data.Dataset.from_tensors(tf.constant(FIXED_SEEDS[split], tf.int64))
        grids = seeds.flat_map(lambda epoch: tf.data.Dataset.from_tensor_slices(_layout(epoch, count, len(digits))))
        grids = grids.apply(tf.data.experimental.assert_cardinality(count))
        if training:
            grids = grids.shuffle(count, seed)

        def assemble(index, positions, drawn_digits):
            images = place(tf.gather(garments, index), tf.gather(digits, drawn_digits), positions)
            return tf.cast(images, tf.float32) / 255.0, tf.gather(labels, index), {"position": positions}

        return grids.batch(batch_size).map(assemble, tf.data.AUTOTUNE)

    return Data(Info(name, classes, (2 * TILE, 2 * TILE, 1), counts, source, notice=notice), build)


def _part(tiles: Tiles, split: str) -> Tiles:
    """The training or the held-out part of the tiles, garments and digits alike; all of them for the test split."""
    kept = [round(len(tile) * (1 - VALIDATION)) for tile in tiles]
    part = {"train": lambda tile, k: tile[:k], "validation": lambda tile, k: tile[k:], "test": lambda tile, k: tile}
    return tuple(part[split](tile, k) for tile, k in zip(tiles, kept))


def _layout(seed, count: int, digits: int):
    """Which garment, where, among which digits: `count` of each, from one seed."""
    seeds = tf.random.split(tf.stack([seed, 0]), 2)
    positions = tf.random.stateless_uniform((count,), seeds[0], 0, 4, tf.int64)
    return tf.range(count, dtype=tf.int64), positions, tf.random.stateless_uniform(
        (count, 3), seeds[1], 0, digits, tf.int64
    )  # fmt: skip


def place(garments: tf.Tensor, digits: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """garments (N,28,28,1), digits (N,3,28,28,1), positions (N,) in 0..3 -> grids (N,56,56,1)."""
    tiles = tf.concat([garments[:, None], digits], axis=1)
    cells = tf.range(4, dtype=tf.int64)[None]
    positions = positions[:, None]
    moved = cells + tf.cast(cells < positions, tf.int64)
    chosen = tf.where(cells == positions, tf.zeros_like(moved), moved)
    rows = tf.reshape(tf.gather(tiles, chosen, batch_dims=1), (-1, 2, 2, TILE, TILE, 1))
    return tf.reshape(tf.transpose(rows, (0, 1, 3, 2, 4, 5)), (-1, 2 * TILE, 2 * TILE, 1))
