"""CIFAR-10 with the standard augmentation: a shift of up to four pixels and a horizontal flip."""

import os

import tensorflow as tf

from keras_actmaps.core.settings import Seed
from keras_actmaps.data import sources
from keras_actmaps.data.records import BatchSize, Data, Info, Limit, limit_counts

HELD_OUT = 2_500
SHIFT = 4


def cifar10(
    data_dir: str | os.PathLike | None = None, *, batch_size: BatchSize = 128, seed: Seed = 0, limit: Limit = None
) -> Data:
    """CIFAR-10: images (N, 32, 32, 3) in 0..1; the last 2,500 training images are the validation split.

    Raises
    ------
    DataUnavailable
        Where the data is neither prepared nor can be downloaded.
    """
    prepared = sources.builder("cifar10", data_dir)
    sizes = {split: prepared.info.splits[split].num_examples for split in ("train", "test")}
    held_out = min(HELD_OUT, sizes["train"] // 10)
    counts = limit_counts({"train": sizes["train"] - held_out, "validation": held_out, "test": sizes["test"]}, limit)
    source = f"CIFAR-10 through TFDS, {prepared.data_path}"
    info = Info("cifar10", sources.class_names("cifar10", data_dir), (32, 32, 3), counts, source)

    def build(split: str, epoch_seed: tf.Tensor | None) -> tf.data.Dataset:
        with tf.init_scope():  # outside of the function of an epoch, so that all epochs share the arrays
            images, labels = sources.arrays("cifar10", "test" if split == "test" else "train", data_dir)
        first = sizes["train"] - held_out if split == "validation" else 0
        rows = tf.data.Dataset.range(first, first + counts[split])
        if epoch_seed is not None:
            rows = rows.shuffle(counts[split], epoch_seed, reshuffle_each_iteration=False)

        def assemble(number: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, dict]:
            batch = tf.gather(images, row)
            if epoch_seed is not None:
                batch = augment(batch, tf.stack([epoch_seed, number]))
            return tf.cast(batch, tf.float32) / 255.0, tf.gather(labels, row), {}

        return rows.batch(batch_size).enumerate().map(assemble, tf.data.AUTOTUNE)

    return Data(info, build, seed)


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Each image of (N, H, W, C) shifted by up to four pixels over a reflected border, and flipped or not."""
    count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    down, right, flip = tf.unstack(tf.random.split(seed, 3))
    border = [[0, 0], [SHIFT, SHIFT], [SHIFT, SHIFT], [0, 0]]
    images = tf.pad(images, border, "REFLECT")
    rows = tf.random.stateless_uniform((count, 1), down, 0, 2 * SHIFT + 1, tf.int32) + tf.range(height)
    columns = tf.random.stateless_uniform((count, 1), right, 0, 2 * SHIFT + 1, tf.int32) + tf.range(width)
    is_flipped = tf.random.stateless_uniform((count, 1), flip) < 0.5
    columns = tf.where(is_flipped, columns[:, ::-1], columns)
    images = tf.gather(images, rows, batch_dims=1)
    return tf.transpose(tf.gather(tf.transpose(images, (0, 2, 1, 3)), columns, batch_dims=1), (0, 2, 1, 3))
