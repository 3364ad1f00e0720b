"""Pictures of what is inside a model: feature maps, pooling, exemplars and images that maximize a score."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from keras_actmaps import render
from keras_actmaps.core.types import Array
from keras_actmaps.features.activation_maximization import ascent_states
from keras_actmaps.features.exemplars import exemplars
from keras_actmaps.features.feature_maps import feature_maps
from keras_actmaps.features.pooling import pooling
from keras_actmaps.ui.inputs import Gallery, Picture
from keras_actmaps.ui.models import Loaded

TILE, GAP = 112, 6  # pixels of a tile of a picture, and between two
CHANNELS, EXAMPLES, COLUMNS = 16, 6, 8
STEPS, EVERY = 192, 8  # of gradient ascent, and between two pictures


def channels_of(loaded: Loaded, picture: Picture, layer: str) -> tuple[Array, list[int]]:
    """The most active channels of a layer: maps (K, h, w), and their numbers."""
    (features,) = feature_maps(loaded.model, picture.inputs, [layer]).values()
    maps = np.moveaxis(features[0], -1, 0)
    order = np.argsort(-np.abs(maps).max((1, 2)))[:CHANNELS]
    return maps[order], [int(number) for number in order]


def sheet(maps: Array, colormap: str = "viridis", columns: int = COLUMNS) -> Array:
    """Maps (K, h, w), each divided by its maximum, as one picture of tiles: uint8 (H, W, 3)."""
    colored = render.colorize(render.normalize(maps), colormap)
    return tiles([_enlarged(one) for one in colored], columns)


def tiles(images: list[Array], columns: int = COLUMNS) -> Array:
    """Images (TILE, TILE, 3) side by side, on a gray that suits light and dark pages."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    picture = np.full((rows * (TILE + GAP) - GAP, columns * (TILE + GAP) - GAP, 3), 128, "uint8")
    for number, image in enumerate(images):
        y, x = ((TILE + GAP) * place for place in divmod(number, columns))
        picture[y : y + TILE, x : x + TILE] = image
    return picture


def _enlarged(image: Array) -> Array:
    return cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_NEAREST)


def pooled(loaded: Loaded, picture: Picture, layer: str) -> list[tuple[str, Array]]:
    """The most active channels of a convolution: after its ReLU, after max and after average pooling."""
    (found,) = pooling(loaded.model, picture.inputs, layer)
    order = np.argsort(-found.before[0].max((0, 1)))[:COLUMNS]
    stages = {"after the ReLU": found.before, "max pooling": found.maximum, "average pooling": found.average}
    shared = found.before[0][..., order].max((0, 1), keepdims=True)
    shared = np.where(shared > 0, shared, 1)
    pictures = []
    for name, values in stages.items():
        scaled = np.moveaxis(values[0][..., order] / shared, -1, 0)
        colored = render.colorize(np.clip(scaled, 0, 1), "viridis")
        height, width = values.shape[1:3]
        pictures.append((f"{name}, {height} × {width}", tiles([_enlarged(one) for one in colored])))
    return pictures


def exemplar_sheet(loaded: Loaded, gallery: Gallery, layer: str, channels: list[int]) -> Array:
    """The images of the gallery that activate channels most, a row for each channel."""
    count = min(EXAMPLES, len(gallery))
    found = exemplars(loaded.model, loaded.encode(gallery.pixels), layer, channels, count)
    images = [render.pixels(gallery.pixels[[position]])[0] for row in found.indices for position in row]
    return tiles([render.fit(image, (TILE, TILE, 3)) for image in images], count)


def grow(loaded: Loaded, target: int, report: Callable[[int, int | None], None], show: Callable[[Any], None]) -> Array:
    """An image that maximizes the score of a class; `show((pixels, step, score))` is called as it grows."""
    pixels: Array = np.empty(0)
    low, high = loaded.preprocessing.bounds
    for state in ascent_states(loaded.model, [target], steps=STEPS, every=EVERY, bounds=(low, high)):
        pixels = loaded.decode(state.images)[0]
        show((pixels, state.step, float(state.scores[0])))
        report(EVERY if state.step else 0, STEPS)
    return pixels
