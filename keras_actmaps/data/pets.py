"""Oxford-IIIT Pet: 37 breeds, with the trimaps and head boxes kept for scoring."""

import tensorflow as tf

from keras_actmaps.data import sources
from keras_actmaps.data.records import Data, Info, limited

HELD_OUT = 368
ZOOM = 1.25  # training crops are taken from an image this much larger than the crop
PET = 1  # the trimap's value for the animal; 2 is background, 3 the undecided border


def pets(data_dir=None, batch_size: int = 32, seed: int = 0, limit: int | None = None, size: int = 128) -> Data:
    """Images (N,size,size,3) in 0..1: the short side resized to `size`, the middle cropped; nothing distorted.

    Truth: `mask` (N,size,size) uint8 with 1 pet, 2 background, 3 border; `head_box` (N,4) float32 as
    (y0, x0, y1, x1) in pixels, all zero where the data set has none, as for all test images. Both follow the image.
    """
    prepared = sources.builder("oxford_iiit_pet", data_dir)
    sizes = {split: prepared.info.splits[split].num_examples for split in ("train", "test")}
    held_out = min(HELD_OUT, sizes["train"] // 10)
    counts = limited({"train": sizes["train"] - held_out, "validation": held_out, "test": sizes["test"]}, limit)
    info = Info("pets", sources.class_names("oxford_iiit_pet", data_dir), (size, size, 3), counts,
                f"Oxford-IIIT Pet through TFDS, {prepared.data_path}")  # fmt: skip

    def build(split: str, training: bool) -> tf.data.Dataset:
        examples = prepared.as_dataset(split="test" if split == "test" else "train", shuffle_files=False)
        if split == "validation":
            examples = examples.skip(sizes["train"] - held_out)
        examples = examples.take(counts[split])
        margin = round(size * ZOOM) if training else size
        examples = examples.map(lambda example: fit(example, margin), tf.data.AUTOTUNE).cache()
        if training:
            seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
            examples = tf.data.Dataset.zip((examples.shuffle(counts[split], seed), seeds))
            examples = examples.map(lambda example, s: crop(example, size, tf.stack([s, 0])), tf.data.AUTOTUNE)

        def normalise(images, labels, truth):
            return tf.cast(images, tf.float32) / 255.0, labels, truth

        return examples.batch(batch_size).map(normalise, tf.data.AUTOTUNE)

    return Data(info, build)


def fit(example: dict, size: int):
    """One TFDS example -> (image, label, truth) at (size, size): short side resized, middle cropped.

    The resized image is rounded to uint8, which lets the whole data set be cached in memory.
    """
    height, width = tf.unstack(tf.shape(example["image"])[:2])
    shorter = tf.minimum(height, width)
    new_height, new_width = size * height // shorter, size * width // shorter
    top, left = (new_height - size) // 2, (new_width - size) // 2

    def follow(picture, method):
        resized = tf.image.resize(picture, (new_height, new_width), method, antialias=method == "bilinear")
        return tf.cast(tf.round(resized[top : top + size, left : left + size]), tf.uint8)

    image = tf.ensure_shape(follow(example["image"], "bilinear"), (size, size, 3))
    mask = tf.ensure_shape(follow(example["segmentation_mask"], "nearest")[..., 0], (size, size))
    scale = tf.cast(tf.stack([new_height, new_width] * 2), tf.float32)
    box = example["head_bbox"] * scale - tf.cast(tf.stack([top, left] * 2), tf.float32)
    box = tf.where(tf.reduce_any(example["head_bbox"] > 0), tf.clip_by_value(box, 0.0, float(size)), 0.0)
    return image, example["label"], {"mask": mask, "head_box": box}


def crop(example, size: int, seed: tf.Tensor):
    """A random crop of (size, size), mirrored or not. Truth is for unaugmented images and is dropped here."""
    image, label, _ = example
    place, mirror = tf.unstack(tf.random.split(seed, 2))
    image = tf.image.stateless_random_crop(image, (size, size, 3), place)
    return tf.image.stateless_random_flip_left_right(image, mirror), label, {}
