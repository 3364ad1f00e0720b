"""Changing an image with a brush, and what the model says of it then."""

import threading
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from keras_actmaps import render
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.image_files import decode_image
from keras_actmaps.core.image_pixels import to_8_bits
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.types import Array
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.explain import explain
from keras_actmaps.ui import limits
from keras_actmaps.ui.components import decode_address
from keras_actmaps.ui.explaining import layer_of, map_of, target_of
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.predictions import all_outputs, as_probabilities
from keras_actmaps.ui.state import View

Fill = Literal["mean color", "black", "gray", "blur", "noise", "another image"]
FILLS: tuple[Fill, ...] = ("mean color", "black", "gray", "blur", "noise", "another image")
SHARPNESS = 12  # a blur's standard deviation is this part of the shorter side

_instant = threading.BoundedSemaphore(limits.WORKERS)  # computations outside of the queue, of all visitors


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of an image.

    Attributes
    ----------
    map : float32 array of shape (H, W)
    probabilities : float32 array of shape (classes,) or None
    score : float
    target : int or None
    """

    map: Array
    probabilities: Array | None
    score: float
    target: int | None


def decode_mask(address: str, shape: tuple[int, int]) -> Array:
    """The painted pixels (H, W), bool, of a picture that the browser sent; nothing where it is malformed."""
    content = decode_address(address)
    if not content:
        return np.zeros(shape, bool)
    try:
        pixels = to_8_bits(decode_image(content, "the mask", limits.PIXELS).pixels)
    except ValueError:
        return np.zeros(shape, bool)
    return render.fit(pixels, (*shape, 1))[..., 0] > 127


def perturb(
    pixels: Array, mask: Array, fill: Fill, outside: bool = False, shift: tuple[int, int] = (0, 0), other: Any = None
) -> Array:
    """An image whose painted pixels are replaced, after a shift.

    Parameters
    ----------
    pixels : uint8 array of shape (H, W, C)
    mask : bool array of shape (H, W)
    fill : Fill
        What replaces them.
    outside : bool
        Replace what is not painted instead: the background of a painted object. Nothing painted leaves the image as is.
    shift : tuple of int
        Columns to the right and rows down, by which the image is moved first; the edge pixels are repeated.
    other : uint8 array like `pixels`, optional
        For the fill "another image".

    Returns
    -------
    uint8 array of shape (H, W, C)
    """
    moved = _shifted(pixels, shift)
    if not mask.any():
        return moved
    hidden = (~mask if outside else mask)[..., None]
    return np.where(hidden, _filling(moved, fill, other), moved)


def _shifted(pixels: Array, shift: tuple[int, int]) -> Array:
    rows, columns = (
        np.clip(np.arange(side) - step, 0, side - 1) for side, step in zip(pixels.shape[:2], reversed(shift))
    )
    return pixels[rows][:, columns]


def _filling(pixels: Array, fill: Fill, other: Any) -> Array:
    if fill == "blur":
        blurred = cv2.GaussianBlur(pixels, (0, 0), min(pixels.shape[:2]) / SHARPNESS)
        return blurred.reshape(pixels.shape)
    if fill == "noise":
        return np.random.default_rng(0).integers(0, 256, pixels.shape, "uint8")
    if fill == "another image" and other is not None:
        return other
    value: Any = {"black": 0, "gray": 128}.get(fill, np.rint(pixels.mean((0, 1))))
    return np.broadcast_to(np.asarray(value, "uint8"), pixels.shape)


def answer(loaded: Loaded, pixels: Array, method: str, view: View, target: int | None = None) -> Answer:
    """The map and the probabilities of an image, computed at once; ValueError if too many visitors compute.

    target: the class of the image before it was changed, so that the maps are of the same class.
    """
    if not _instant.acquire(timeout=limits.WANTED):
        raise ValueError("too many visitors compute at this moment; try again")
    try:
        inputs = loaded.encode(pixels[None])
        traced = as_traced(loaded.model)
        outputs, _, _ = traced.run(all_outputs, inputs, traced.validate_targets(None, 1), context=RunContext(1, 1))
        wanted = target_of(loaded, view.target, view.minus)
        layer = layer_of(view, loaded) if METHODS[method].level == "layer" else ""
        e = explain(loaded.model, inputs, method, target if wanted is None else wanted, layer or None)
    finally:
        _instant.release()
    found = as_probabilities(outputs, loaded)
    number = None if e.targets is None else int(np.ravel(e.targets)[0])
    return Answer(map_of(e), None if found is None else found[0], float(np.ravel(e.scores)[0]), number)
