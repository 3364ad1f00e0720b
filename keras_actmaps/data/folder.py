"""A folder with a folder of images for each class, with or without train/ and test/ above them."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_actmaps.data.cifar10 import augment
from keras_actmaps.data.records import Data, Info, limited

ENDINGS = (".png", ".jpg", ".jpeg")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
LOOKED_AT = 64  # images opened to learn the common size and whether any has colour
LARGEST = 160
SHARES = {"train": 0.8, "validation": 0.1}

Files = list[tuple[Path, int]]


def folder(directory, batch_size: int = 32, seed: int = 0, limit: int | None = None, size: int | None = None) -> Data:
    """Images (N,size,size,1 or 3) in 0..1 of the classes DIR/CLASS/*.png|jpg|jpeg.

    With DIR/train and DIR/test the test images are those of test/ and a tenth of train/ is held out for
    validation; without them the images are divided 80 : 10 : 10. `size`: None takes the images' common
    side, at most 160. Grey images give one channel, as long as none of those looked at has colour.

    Raises FileNotFoundError for a missing or empty folder, ValueError for one class only or a file that is no
    image; each names the path.
    """
    root = Path(directory).expanduser()
    classes, files = divide(root, seed)
    shapes = [_shape(path) for path, _ in _sample(files["train"], LOOKED_AT)]
    channels = 3 if any(shape[2] >= 3 for shape in shapes) else 1
    size = size or min(LARGEST, min(min(shape[:2]) for shape in shapes))
    counts = limited({split: len(part) for split, part in files.items()}, limit)
    info = Info(f"folder:{root}", classes, (size, size, channels), counts, str(root.resolve()))

    def build(split: str, training: bool) -> tf.data.Dataset:
        part = files[split][: counts[split]]
        paths, labels = [str(path) for path, _ in part], [label for _, label in part]
        examples = tf.data.Dataset.from_tensor_slices((paths, tf.constant(labels, tf.int64)))
        examples = examples.map(lambda path, label: (_read(path, size, channels), label), tf.data.AUTOTUNE).cache()
        if training:
            examples = examples.shuffle(counts[split], seed)
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

        def assemble(batch, epoch_seed):
            images, labels = batch
            if training:
                images = augment(images, tf.stack([epoch_seed, 0]))
            return tf.cast(images, tf.float32) / 255.0, labels, {}

        return tf.data.Dataset.zip((examples.batch(batch_size), seeds)).map(assemble, tf.data.AUTOTUNE)

    return Data(info, build)


def divide(root: Path, seed: int) -> tuple[tuple[str, ...], dict[str, Files]]:
    """The class names and each split's (path, label)s, in a seeded random order."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {str(root)!r}")
    has_splits = (root / "train").is_dir() and (root / "test").is_dir()
    base = root / "train" if has_splits else root
    classes = tuple(sorted(path.name for path in base.iterdir() if path.is_dir() and _images(path)))
    if not classes:
        raise FileNotFoundError(f"no class folder with a {', '.join(ENDINGS)} image in {str(base)!r}")
    if len(classes) == 1:
        raise ValueError(f"only one class, {classes[0]!r}, in {str(base)!r}; a classifier needs two or more")
    random = np.random.default_rng(seed)
    files = _shuffled(base, classes, random)
    if has_splits:
        test = _shuffled(root / "test", classes, random)
        held_out = max(1, round(len(files) * SHARES["validation"]))
        parts = {"train": files[held_out:], "validation": files[:held_out], "test": test}
    else:
        ends = [round(len(files) * share) for share in (SHARES["train"], sum(SHARES.values()))]
        parts = {"train": files[: ends[0]], "validation": files[ends[0] : ends[1]], "test": files[ends[1] :]}
    for split, part in parts.items():
        if not part:
            raise ValueError(f"too few images in {str(root)!r}: none is left for the {split} split")
    return classes, parts


def _images(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix.lower() in ENDINGS)


def _shuffled(base: Path, classes: tuple[str, ...], random: np.random.Generator) -> Files:
    files = []
    for label, name in enumerate(classes):
        if (base / name).is_dir():
            files += [(path, label) for path in _images(base / name)]
    for path, _ in files:
        with path.open("rb") as file:
            if not file.read(8).startswith(SIGNATURES):
                raise ValueError(f"{str(path)!r} is named like an image and is neither a PNG nor a JPEG file")
    return [files[i] for i in random.permutation(len(files))]


def _sample(files: Files, count: int) -> Files:
    return files[:: max(1, len(files) // count)][:count]


def _shape(path: Path) -> tuple[int, int, int]:
    """Height, width and channels; ValueError for a file that cannot be read as an image."""
    try:
        return tuple(tf.io.decode_image(path.read_bytes(), expand_animations=False).shape)
    except tf.errors.InvalidArgumentError:
        raise ValueError(f"{str(path)!r} cannot be read as an image") from None


def _read(path: tf.Tensor, size: int, channels: int) -> tf.Tensor:
    """One image, short side resized to `size`, middle cropped, as uint8."""
    image = tf.io.decode_image(tf.io.read_file(path), channels, expand_animations=False)
    height, width = tf.unstack(tf.shape(image)[:2])
    shorter = tf.minimum(height, width)
    scaled = (size * height // shorter, size * width // shorter)
    image = tf.image.resize_with_crop_or_pad(tf.image.resize(image, scaled, antialias=True), size, size)
    return tf.ensure_shape(tf.cast(tf.round(image), tf.uint8), (size, size, channels))
