"""Oxford-IIIT Pet: 37 breeds, with segmentation masks and head boxes as ground truth."""

import os
from functools import cache

import tensorflow as tf

from keras_actmaps.core.settings import Seed
from keras_actmaps.data import sources
from keras_actmaps.data.geometry import fit_center
from keras_actmaps.data.records import BatchSize, Data, ImageSize, Info, Limit, limit_counts

HELD_OUT = 368
ZOOM = 1.25  # training crops are taken from an image that is larger than the crop by this factor

Example = tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]  # image, label, truth


def pets(
    data_dir: str | os.PathLike | None = None,
    *,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    limit: Limit = None,
    size: ImageSize = 128,
) -> Data:
    """Oxford-IIIT Pet: images (N, size, size, 3) in 0..1, the shorter side resized to `size` and the center cropped.

    The truth is `mask` (N, size, size) uint8, with 1 for the pet, 2 for the background and 3 for the border, and
    `head_box` (N, 4) float32 as (y0, x0, y1, x1) in pixels, all zero where the data set has none, as for all test
    images. Both are resized and cropped with the image.

    Raises
    ------
    DataUnavailable
        Where the data is neither prepared nor can be downloaded.
    """
    prepared = sources.builder("oxford_iiit_pet", data_dir)
    sizes = {split: prepared.info.splits[split].num_examples for split in ("train", "test")}
    held_out = min(HELD_OUT, sizes["train"] // 10)
    counts = limit_counts({"train": sizes["train"] - held_out, "validation": held_out, "test": sizes["test"]}, limit)
    source = f"Oxford-IIIT Pet through TFDS, {prepared.data_path}"
    info = Info("pets", sources.class_names("oxford_iiit_pet", data_dir), (size, size, 3), counts, source)

    @cache
    def cached(split: str, side: int) -> tf.data.Dataset:
        examples = prepared.as_dataset(split="test" if split == "test" else "train", shuffle_files=False)
        if split == "validation":
            examples = examples.skip(sizes["train"] - held_out)
        return examples.take(counts[split]).map(lambda example: fit(example, side), tf.data.AUTOTUNE).cache()

    def build(split: str, epoch_seed: tf.Tensor | None) -> tf.data.Dataset:
        with tf.init_scope():  # outside of the function of an epoch, so that all epochs share the cache
            examples = cached(split, size if epoch_seed is None else round(size * ZOOM))
        if epoch_seed is not None:
            examples = examples.shuffle(counts[split], epoch_seed, reshuffle_each_iteration=False).enumerate()
            examples = examples.map(
                lambda number, example: crop(example, size, tf.stack([epoch_seed, number])), tf.data.AUTOTUNE
            )

        def normalize(images: tf.Tensor, labels: tf.Tensor, truth: dict) -> Example:
            return tf.cast(images, tf.float32) / 255.0, labels, truth

        return examples.batch(batch_size).map(normalize, tf.data.AUTOTUNE)

    return Data(info, build, seed)


def fit(example: dict[str, tf.Tensor], size: int) -> Example:
    """One TFDS example as (image, label, truth) at (size, size): shorter side resized, center cropped.

    The resized image is rounded to uint8, so that the whole data set can be cached in memory.
    """
    height, width = tf.unstack(tf.shape(example["image"])[:2])
    shorter = tf.minimum(height, width)
    new_height, new_width = size * height // shorter, size * width // shorter
    top, left = (new_height - size) // 2, (new_width - size) // 2

    image = tf.ensure_shape(tf.cast(tf.round(fit_center(example["image"], size)), tf.uint8), (size, size, 3))
    resized = tf.image.resize(example["segmentation_mask"], (new_height, new_width), "nearest")
    mask = tf.ensure_shape(tf.cast(resized[top : top + size, left : left + size, 0], tf.uint8), (size, size))
    scale = tf.cast(tf.stack([new_height, new_width] * 2), tf.float32)
    box = example["head_bbox"] * scale - tf.cast(tf.stack([top, left] * 2), tf.float32)
    box = tf.where(tf.reduce_any(example["head_bbox"] > 0), tf.clip_by_value(box, 0.0, float(size)), 0.0)
    return image, example["label"], {"mask": mask, "head_box": box}


def crop(example: Example, size: int, seed: tf.Tensor) -> Example:
    """A random crop of (size, size), flipped or not. The truth, which is not cropped with it, is dropped."""
    image, label, _ = example
    place, flip = tf.unstack(tf.random.split(seed, 2))
    image = tf.image.stateless_random_crop(image, (size, size, 3), place)
    return tf.image.stateless_random_flip_left_right(image, flip), label, {}
