"""The images that are explained: of the run's data set, drawn examples, or uploaded; and token sequences."""

import hashlib
import importlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_actmaps import render
from keras_actmaps.core.image_files import decode_image
from keras_actmaps.core.image_pixels import to_8_bits
from keras_actmaps.core.types import Array
from keras_actmaps.ui import limits
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.predictions import probabilities

ORIGINAL_SIDE = 1024
EXAMPLES = 24  # drawn images for a model without a data set


@dataclass(frozen=True, eq=False)
class Picture:
    """One input of the model, and what is known of it.

    Attributes
    ----------
    key : str
        As in links: "test:12", "upload:<hash>" or "text:<tokens>".
    title : str
    inputs : array of shape (1, ...)
        As the model takes it.
    pixels : uint8 array of shape (H, W, 1 or 3), or None
        As it is shown; None for tokens.
    label : int or None
        The true class.
    remarks : tuple of str
        Conversions of an uploaded image.
    tokens : tuple of str
        Of a token model.
    original : uint8 array of shape (h, w, 1 or 3), or None
        An uploaded image before it was resized for the model, at most ORIGINAL_SIDE on a side.
    """

    key: str
    title: str
    inputs: Array
    pixels: Array | None = None
    label: int | None = None
    remarks: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    original: Array | None = None


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images to choose from, with what the model says of them.

    Attributes
    ----------
    source : str
        Where they come from.
    pixels : uint8 array of shape (N, H, W, C)
    labels : int array of shape (N,) or None
    probabilities : float32 array of shape (N, classes) or None
        None where the outputs are no class scores.
    """

    source: str
    pixels: Array
    labels: Array | None
    probabilities: Array | None

    def __len__(self) -> int:
        return len(self.pixels)

    def select(self, label: int | None = None, outcome: str = "all", lowest: float = 0.0, highest: float = 1.0) -> list:
        """The positions of images of a class that are classified right or wrong, with a confidence in a range."""
        kept = np.ones(len(self), bool)
        if self.labels is not None and label is not None:
            kept &= self.labels == label
        if self.probabilities is not None and len(self):
            confidence, predicted = self.probabilities.max(-1), self.probabilities.argmax(-1)
            kept &= (confidence >= lowest - 1e-6) & (confidence <= highest + 1e-6)
            if self.labels is not None and outcome != "all":
                kept &= (predicted == self.labels) == (outcome == "right")
        return np.flatnonzero(kept).tolist()

    def picture(self, position: int, loaded: Loaded) -> Picture:
        """The image at a position."""
        pixels = self.pixels[position]
        label = None if self.labels is None else int(self.labels[position])
        return Picture(
            f"test:{position}", f"{self.source} image {position}", loaded.encode(pixels[None]), pixels, label
        )


def read_gallery(loaded: Loaded, data_dir: str | None = None) -> Gallery | None:
    """The first images of the test split of the model's run, or drawn examples; None if there are none."""
    shape = loaded.shape
    if shape is None:
        return None
    try:
        datasets = importlib.import_module("keras_actmaps.data")  # imports TensorFlow
    except ImportError:
        return None
    if loaded.run is not None:
        record = loaded.run.record
        data = datasets.load(record["dataset"], **record["data"] | ({"data_dir": data_dir} if data_dir else {}))
        images, labels = _first(data.test, limits.GALLERY)
        return Gallery("test", data.info.display(images), labels, probabilities(loaded, images))
    data = datasets.load("drawn-grid", limit=EXAMPLES)
    images, _ = _first(data.test, EXAMPLES)
    pixels = np.stack([render.fit(image, shape) for image in data.info.display(images)])
    return Gallery("drawn", pixels, None, probabilities(loaded, loaded.encode(pixels)))


def _first(dataset: Any, count: int) -> tuple[Array, Array]:
    """The first images and labels of batches."""
    images: list[Array] = []
    labels: list[Array] = []
    for some, of_them in dataset.as_numpy_iterator():
        images.append(some)
        labels.append(of_them)
        if sum(map(len, images)) >= count:
            break
    return np.concatenate(images)[:count], np.concatenate(labels)[:count]


def decode_upload(content: bytes, name: str, loaded: Loaded) -> Picture:
    """An uploaded, pasted or photographed image as an input; ValueError with a message for the visitor."""
    shape = loaded.shape
    if shape is None:
        raise ValueError("this model takes no images")
    if len(content) > limits.UPLOAD_MB * 1_000_000:
        raise ValueError(f"{name!r} is larger than {limits.UPLOAD_MB} MB")
    image, remarks = decode_image(content, name, limits.PIXELS)
    image = to_8_bits(image)
    if image.shape[:2] != shape[:2]:
        how = ", and its center cropped" if _is_cropped(loaded) else ""
        remarks = (*remarks, f"resized from {image.shape[1]}x{image.shape[0]} for {shape[1]}x{shape[0]} pixels{how}")
    if image.shape[-1] != shape[-1]:
        remarks = (*remarks, f"converted from {'gray to color' if shape[-1] == 3 else 'color to gray'}")
    share = min(1.0, ORIGINAL_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(share * side)) for side in image.shape[:2])
    original = render.fit(image, (height, width, image.shape[-1]))
    key = f"upload:{hashlib.sha256(content).hexdigest()[:16]}"
    pixels = fit(image, loaded)
    return Picture(key, name[:80], loaded.encode(pixels[None]), pixels, None, remarks, (), original)


def for_model(picture: Picture, loaded: Loaded) -> Picture:
    """An uploaded image as an input of a model, which may be another than at the time of the upload."""
    if picture.original is None or picture.pixels is None or loaded.shape in (None, picture.pixels.shape):
        is_image = picture.pixels is not None and loaded.shape is not None
        return replace(picture, inputs=loaded.encode(np.asarray(picture.pixels)[None])) if is_image else picture
    pixels = fit(picture.original, loaded)
    return replace(picture, pixels=pixels, inputs=loaded.encode(pixels[None]))


def fit(image: Array, loaded: Loaded) -> Array:
    """A uint8 image at the size of the model, as the command explain fits it: for a run as in its training."""
    shape = loaded.shape
    if shape is None:
        raise ValueError("this model takes no images")
    if _is_cropped(loaded):
        datasets = importlib.import_module("keras_actmaps.data")  # imports TensorFlow
        return np.clip(datasets.fit_photo(image, shape[0], shape[-1]), 0, 255).astype("uint8")
    return render.fit(image, shape)


def _is_cropped(loaded: Loaded) -> bool:
    """Whether images are cropped to their center, as the data sets do it."""
    return loaded.run is not None and loaded.shape is not None and loaded.shape[0] == loaded.shape[1]


def read_tokens(text: str, loaded: Loaded) -> Picture:
    """Numbers of tokens, separated by spaces or commas, as an input; ValueError for anything else."""
    length = loaded.length
    if length is None:
        raise ValueError("this model takes no tokens")
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() and len(word) < 8 for word in words):
        raise ValueError("type the numbers of tokens, such as: 12 7 301")
    if len(words) > length:
        raise ValueError(f"{len(words)} tokens, but the model takes at most {length}")
    numbers = np.zeros((1, length), "int32")
    numbers[0, : len(words)] = [int(word) for word in words]
    tokens = tuple(map(str, numbers[0]))
    return Picture(f"text:{' '.join(words)}", "tokens", numbers, None, None, (), tokens)
