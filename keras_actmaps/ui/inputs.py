"""The images that are explained: of the run's data set, drawn examples, or uploaded; and token sequences."""

import hashlib
import importlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend, render
from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.image_files import decode_image
from keras_actmaps.core.image_pixels import to_8_bits
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.ui import limits
from keras_actmaps.ui.models import Loaded

ORIGINAL_SIDE = 1024
BATCH = 16  # images at a time
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


def probabilities(loaded: Loaded, inputs: Array) -> Array | None:
    """The probabilities (N, classes) of inputs; None where the outputs are no class scores."""
    traced = loaded.traced
    rows = []
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        padded = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), 0)]) if len(inputs) > 1 else batch
        validated = traced.validate_inputs(padded)
        context = RunContext(len(validated), len(validated))
        outputs, _, _ = traced.run(
            all_outputs, validated, traced.validate_targets(None, len(validated)), context=context
        )
        rows.append(as_probabilities(outputs, loaded))
    if not rows or rows[0] is None:
        return None
    return np.concatenate(rows)[: len(inputs)]


def all_outputs(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """A function for `TracedModel.run` whose values are all outputs, before a softmax or sigmoid."""
    outputs = traced.outputs(inputs)
    return Attribution(outputs, outputs)


def as_probabilities(outputs: Any, loaded: Loaded) -> Array | None:
    """Outputs (N, classes) of `all_outputs` after the model's own softmax or sigmoid, or a softmax if it has none.

    None for outputs that are no class scores.
    """
    if not hasattr(outputs, "shape") or len(outputs.shape) != 2:
        return None
    (activation,) = loaded.traced.graph.output_activations or (None,)
    values = np.asarray(backend.to_numpy(outputs), "float32")
    is_probability = (values >= 0).all() and np.allclose(values.sum(1), 1, atol=1e-3)  # of an activation that stayed
    if activation is None and not is_probability:
        activation = ops.sigmoid if values.shape[1] == 1 else ops.softmax
    if activation is not None:
        values = np.asarray(backend.to_numpy(activation(ops.convert_to_tensor(values))), "float32")
    return np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values


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
        sizes = f"from {image.shape[1]}x{image.shape[0]} to {shape[1]}x{shape[0]}"
        remarks = (*remarks, f"resized {sizes} pixels")
    if image.shape[-1] != shape[-1]:
        remarks = (*remarks, f"converted from {'gray to color' if shape[-1] == 3 else 'color to gray'}")
    share = min(1.0, ORIGINAL_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(share * side)) for side in image.shape[:2])
    original = render.fit(image, (height, width, image.shape[-1]))
    key = f"upload:{hashlib.sha256(content).hexdigest()[:16]}"
    return for_model(Picture(key, name[:80], np.empty(0), None, None, remarks, (), original), loaded)


def for_model(picture: Picture, loaded: Loaded) -> Picture:
    """An uploaded image as an input of a model, which may be another than at the time of the upload."""
    if picture.original is None or loaded.shape is None:
        return picture
    pixels = render.fit(picture.original, loaded.shape)
    return replace(picture, pixels=pixels, inputs=loaded.encode(pixels[None]))


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
