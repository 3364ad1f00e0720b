"""A folder with one subfolder of images per class, with or without train/ and test/ above them.

`keras.utils.image_dataset_from_directory` is not used: it resizes without antialiasing, which changes large
photographs, splits into two parts rather than three, counts empty folders as classes, ignores the EXIF orientation, and
reports a broken file only during training, without its name.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import tensorflow as tf

from keras_actmaps.core.image_files import Header, obstacle, read_header, read_image
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.types import Array
from keras_actmaps.data.cifar10 import augment
from keras_actmaps.data.geometry import fit_center, prepare
from keras_actmaps.data.records import (
    SPLITS,
    BatchSize,
    Data,
    ImageSize,
    Info,
    Limit,
    limit_counts,
    readable_errors,
)

SUFFIXES = (".png", ".jpg", ".jpeg")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
SAMPLED = 64  # images opened to find whether any is in color, where the size is known
LARGEST = 160
NAMED = 5  # skipped files
SHARES = {"train": 0.8, "validation": 0.1}

Files = list[tuple[Path, int]]


def folder(
    directory: str | os.PathLike,
    *,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    limit: Limit = None,
    size: Annotated[ImageSize | None, "height and width in pixels; None for the median's, at most 160"] = None,
) -> Data:
    """Images (N, size, size, 1 or 3) in 0..1 from DIR/CLASS/*.png, *.jpg or *.jpeg.

    With DIR/train and DIR/test, the test images are those of test/, and a tenth of train/ is held out for validation;
    otherwise the images are divided 80 : 10 : 10. The shorter side is resized to `size`, by default the median of the
    shorter sides, and the center cropped. Images have one channel if none has color. 16 bits per channel are kept.

    Raises
    ------
    FileNotFoundError
        For a folder that does not exist or contains no images.
    ValueError
        For a single class, too few images, or a file that is not an image.
    """
    root = Path(directory).expanduser()
    classes, files = divide(root, seed)
    headers = [read_header(path) for path, _ in (_sample(files["train"], SAMPLED) if size else files["train"])]
    channels = max(header.channels for header in headers)
    is_deep = any(header.bits > 8 for header in headers)  # then cached as float32
    side = size or min(LARGEST, int(np.median([min(header[:2]) for header in headers])))
    counts = limit_counts({split: len(part) for split, part in files.items()}, limit)
    remarks = (*_skipped(root), *([] if size else _resized(headers, side)))
    info = Info(f"folder:{root}", classes, (side, side, channels), counts, str(root.resolve()), remarks=remarks)

    @cache
    def cached(split: str) -> tf.data.Dataset:
        part = files[split][: counts[split]]
        paths, labels = [str(path) for path, _ in part], [label for _, label in part]
        examples = tf.data.Dataset.from_tensor_slices((paths, tf.constant(labels, tf.int64)))
        return examples.map(lambda path, label: (_read(path, side, channels, is_deep), label), tf.data.AUTOTUNE).cache()

    def build(split: str, epoch_seed: tf.Tensor | None) -> tf.data.Dataset:
        with tf.init_scope():  # outside of the function of an epoch, so that all epochs share the cache
            examples = cached(split)
        if epoch_seed is not None:
            examples = examples.shuffle(counts[split], epoch_seed, reshuffle_each_iteration=False)

        def assemble(number: tf.Tensor, batch: tuple) -> tuple[tf.Tensor, tf.Tensor, dict]:
            images, labels = batch
            if epoch_seed is not None:
                images = augment(images, tf.stack([epoch_seed, number]))
            return tf.cast(images, tf.float32) / 255.0, labels, {}

        return examples.batch(batch_size).enumerate().map(assemble, tf.data.AUTOTUNE)

    def check() -> None:
        with readable_errors():
            for split in SPLITS:  # which also fills the cache
                for _ in cached(split):
                    pass

    return Data(info, build, seed, check)


def divide(root: Path, seed: int) -> tuple[tuple[str, ...], dict[str, Files]]:
    """The class names, and the files (path, label) of each split in a seeded random order; raises as `folder` does."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {str(root)!r}")
    has_splits = (root / "train").is_dir() and (root / "test").is_dir()
    base = root / "train" if has_splits else root
    classes = tuple(sorted(path.name for path in base.iterdir() if _is_class(path)))
    if not classes:
        raise FileNotFoundError(f"no class folder with a {', '.join(SUFFIXES)} image in {str(base)!r}")
    if len(classes) == 1:
        raise ValueError(f"only one class, {classes[0]!r}, in {str(base)!r}; a classifier needs two or more")
    random = np.random.default_rng(seed)
    files = _shuffled_files(base, classes, random)
    if has_splits:
        test = _shuffled_files(root / "test", classes, random)
        held_out = max(1, round(len(files) * SHARES["validation"]))
        parts = {"train": files[held_out:], "validation": files[:held_out], "test": test}
    else:
        ends = [round(len(files) * share) for share in (SHARES["train"], sum(SHARES.values()))]
        parts = {"train": files[: ends[0]], "validation": files[ends[0] : ends[1]], "test": files[ends[1] :]}
    for split, part in parts.items():
        if not part:
            raise ValueError(f"too few images in {str(root)!r}: none is left for the {split} split")
    return classes, parts


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and bool(_image_files(path))


def _image_files(directory: Path) -> list[Path]:
    return [path for path in _named_like_images(directory) if not obstacle(path)]


def _named_like_images(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix.lower() in SUFFIXES)


def _skipped(root: Path) -> list[str]:
    """A remark on the files that are named like images but cannot be any."""
    folders = [path for path in (root, *root.glob("*"), *root.glob("*/*")) if path.is_dir()]
    found = [(path, obstacle(path)) for folder in folders for path in _named_like_images(folder)]
    skipped = [f"{path.relative_to(root)} ({reason})" for path, reason in found if reason]
    more = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
    return [f"skipped: {', '.join(skipped[:NAMED])}{more}"] if skipped else []


def _shuffled_files(base: Path, classes: tuple[str, ...], random: np.random.Generator) -> Files:
    files = list(_labeled_files(base, classes))
    for path, _ in files:
        with path.open("rb") as file:
            if not file.read(8).startswith(SIGNATURES):
                raise ValueError(f"{str(path)!r} is neither a PNG nor a JPEG file, although its name ends like one")
    return [files[i] for i in random.permutation(len(files))]


def _labeled_files(base: Path, classes: tuple[str, ...]) -> Iterator[tuple[Path, int]]:
    for label, name in enumerate(classes):
        if (base / name).is_dir():
            yield from ((path, label) for path in _image_files(base / name))


def _sample(files: Files, count: int) -> Files:
    return files[:: max(1, len(files) // count)][:count]


def _resized(headers: list[Header], side: int) -> list[str]:
    """A remark on the training images that are not of the size of the model."""
    others = [header for header in headers if header[:2] != (side, side)]
    if not others:
        return []
    smaller = sum(min(header[:2]) < side for header in others)
    sizes = sorted({header[:2] for header in others}, key=lambda size: size[0] * size[1])
    span = " to ".join(f"{height}x{width}" for height, width in dict.fromkeys((sizes[0], sizes[-1])))
    return [
        f"{len(others)} of {len(headers)} training images, of height x width {span}, are resized to a shorter side of "
        f"{side} pixels and cropped" + (f"; {smaller} of them are enlarged" if smaller else "")
    ]


def _read(path: tf.Tensor, size: int, channels: int, is_deep: bool) -> tf.Tensor:
    """One image at (size, size, channels) in 0..255: rounded to uint8, or float32 for a data set with 16 bits."""

    def decode(name: bytes) -> tuple[Array, np.bool_]:
        pixels = read_image(name.decode()).pixels
        return prepare(pixels, size, channels).astype("float32"), np.bool_(pixels.dtype == np.uint8)

    image, is_whole = tf.numpy_function(decode, [path], (tf.float32, tf.bool))
    image = fit_center(tf.ensure_shape(image, (None, None, channels)), size)
    image = tf.where(is_whole, tf.round(image), image)
    return tf.ensure_shape(image if is_deep else tf.cast(tf.round(image), tf.uint8), (size, size, channels))
