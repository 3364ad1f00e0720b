"""The only room that draws: maps become colours, overlays and figures. Zero means the same in every panel: nothing.

An overlay divides what speaks for the target by its maximum, image by image. A raw map has a colour bar in its own
numbers, or shares one scale with the panels that it is compared with.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_actmaps.explanation import Explanation

SIGNED = "RdBu_r"  # the colours of maps with two signs: red speaks for the target, blue against it
BRIGHTEST = 99.5  # the percentile of magnitudes at which the colours of a raw map end
PANEL = 2.6  # inches
FONT = {"fontsize": 9}


def normalise(maps: np.ndarray) -> np.ndarray:
    """maps (..., H, W) -> 0..1: what speaks for the target, divided by its maximum, image by image.

    A map without anything positive (a constant 0, say) gives 0 everywhere.
    """
    positive = np.maximum(np.asarray(maps, "float32"), 0)
    highest = positive.max(axis=(-2, -1), keepdims=True)
    return positive / np.where(highest > 0, highest, 1)


def colour(values: np.ndarray, colormap: str = "turbo") -> np.ndarray:
    """values 0..1 (...) -> uint8 RGB (..., 3). ValueError for a colour map that Matplotlib does not know."""
    return (palette(colormap)(values)[..., :3] * 255).round().astype("uint8")


def heatmap(explanation: Explanation, colormap: str = "turbo") -> np.ndarray:
    """uint8 RGB (N,H,W,3), or (N,K,H,W,3) for K targets an image."""
    return colour(normalise(explanation.maps), colormap)


def overlay(explanation: Explanation, images, alpha: float = 0.5, colormap: str = "turbo") -> np.ndarray:
    """The maps laid over the images: uint8 RGB (N,H,W,3), or (N,K,H,W,3) for K targets an image.

    images: (N,H,W,1 or 3), uint8 or float in 0..1, 0..255 or any range (see `pixels`). alpha: 0 shows the image only,
    1 the map only. ValueError for an alpha outside 0..1 and for images that do not fit the maps.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} is outside 0 to 1")
    below = pixels(images).astype("float32")
    above = heatmap(explanation, colormap).astype("float32")
    if below.shape[:-1] != (above.shape[0], *above.shape[-3:-1]):
        raise ValueError(f"images of shape {np.shape(images)} do not fit maps of shape {explanation.maps.shape}")
    if above.ndim > below.ndim:
        below = below[:, None]
    return ((1 - alpha) * below + alpha * above).round().astype("uint8")


def pixels(images) -> np.ndarray:
    """Images of any usual range -> uint8 RGB (N,H,W,3).

    uint8 stays; floats in 0..1 are scaled by 255, in 0..255 rounded, any other range is stretched, image by image.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images of shape {images.shape} cannot be drawn; give (N,H,W,1) or (N,H,W,3)")
    if images.dtype != np.uint8:
        images = images.astype("float32")
        lowest, highest = images.min(initial=0), images.max(initial=0)
        if lowest < 0 or highest > 255:
            low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
            images = (images - low) / np.where(high > low, high - low, 1)
            highest = 1
        images = np.rint(images * (255 if highest <= 1 else 1)).astype("uint8")
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def picture(
    explanation: Explanation, images, titles: Sequence[str], caption: str = "", alpha=0.5, colormap="turbo"
) -> Figure:
    """A row an image: the image with its title, the map with a colour bar in raw numbers, the overlay."""
    drawn, over = pixels(images), overlay(explanation, images, alpha, colormap)
    figure, axes = _panels(len(drawn), 3, caption)
    for row, (image, title) in enumerate(zip(drawn, titles)):
        _show(axes[row, 0], image, title)
        _map(figure, axes[row, 1], explanation, row, f"{explanation.method}, raw", colormap)
        _show(axes[row, 2], over[row], "over the image")
    return figure


def class_panels(
    explanation: Explanation, images, titles: Sequence[str], names, caption="", colormap="turbo"
) -> Figure:
    """The maps of K targets an image, one panel a target, at one scale for each image, so that they can be compared.

    titles: one an image. names: (N, K) lists of panel titles.
    """
    drawn = pixels(images)
    count = explanation.maps.shape[1] + 1
    columns = count if len(drawn) > 1 else min(count, 6)
    rows = -(-count // columns)
    figure, axes = _panels(len(drawn) * rows, columns, caption)
    for number, (image, maps) in enumerate(zip(drawn, explanation.maps)):
        panels = axes[number * rows : (number + 1) * rows].ravel()
        _show(panels[0], image, titles[number])
        highest = float(maps.max()) if maps.max() > 0 else float(np.abs(maps).max()) or 1.0
        scale = Normalize(-highest if maps.min() < 0 else 0.0, highest)
        for panel, one, name in zip(panels[1:], maps, names[number]):
            panel.imshow(one, cmap=_colours(scale, colormap), norm=scale)
            panel.set_title(name, **FONT)
        for panel in panels[count:]:
            panel.set_visible(False)
        _bar(figure, list(panels[:count]), scale, maps, colormap, 0.015)
    return figure


def contact_sheet(
    explanations: Sequence[Explanation], images, titles: Sequence[str], caption: str = "", colormap: str = "turbo"
) -> Figure:
    """Each image beside its maps by every method, (N,H,W) each, at its own scale, signed maps in two colours."""
    drawn = pixels(images)
    columns = min(len(explanations) + 1, 7)
    rows = -(-(len(explanations) + 1) // columns)
    figure, axes = _panels(len(drawn) * rows, columns, caption)
    for number, image in enumerate(drawn):
        panels = axes[number * rows : (number + 1) * rows].ravel()
        _show(panels[0], image, titles[number])
        for panel, explanation in zip(panels[1:], explanations):
            scale = _scale(explanation.maps[number], explanation.maps)
            panel.imshow(explanation.maps[number], cmap=_colours(scale, colormap), norm=scale)
            panel.set_title(explanation.method, **FONT)
        for panel in panels[len(explanations) + 1 :]:
            panel.set_visible(False)
    return figure


def originals(images, titles: Sequence[str], caption: str = "") -> Figure:
    """The images alone, side by side."""
    drawn = pixels(images)
    columns = min(len(drawn), 6)
    figure, axes = _panels(-(-len(drawn) // columns), columns, caption)
    for panel in axes.ravel()[len(drawn) :]:
        panel.set_visible(False)
    for panel, image, title in zip(axes.ravel(), drawn, titles):
        _show(panel, image, title)
    return figure


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a PNG, whole or not at all; OSError where that cannot be done."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(temporary, format="png", dpi=120)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read(path: str | os.PathLike) -> np.ndarray:
    """An image file -> uint8 (H,W,1) or RGB (H,W,3). FileNotFoundError, or ValueError for what is no image."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no image file {str(path)!r}")
    encoded = np.frombuffer(path.read_bytes(), "uint8")
    image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    if image is None:
        raise ValueError(f"{str(path)!r} is no image that can be read")
    if image.dtype != np.uint8:
        image = (image / np.iinfo(image.dtype).max * 255).round().astype("uint8")
    if image.ndim == 2:
        return image[..., None]
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB if image.shape[-1] == 4 else cv2.COLOR_BGR2RGB)


def fit(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 (h,w,c) -> (H,W,C): resized, grey repeated or colour turned to grey. ValueError for other channels."""
    height, width, channels = shape
    if image.shape[-1] != channels:
        if {image.shape[-1], channels} != {1, 3}:
            raise ValueError(f"an image of {image.shape[-1]} channels cannot be turned into {channels}")
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 3 else cv2.COLOR_RGB2GRAY)
    if image.shape[:2] != (height, width):
        shrinks = height * width < image.shape[0] * image.shape[1]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return image.reshape(shape)


def palette(name: str):
    """A Matplotlib colour map by name; ValueError names some."""
    if name not in matplotlib.colormaps:
        usual = "turbo, viridis, magma, inferno, jet, hot, gray, RdBu_r, coolwarm"
        raise ValueError(f"no colour map {name!r}; there are: {usual} and Matplotlib's others")
    return matplotlib.colormaps[name]


def _panels(rows: int, columns: int, caption: str):
    figure = Figure(figsize=(PANEL * columns + 0.8, PANEL * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.ravel():
        panel.set_axis_off()
    if caption:
        figure.suptitle(caption, fontsize=10)
    return figure, axes


def _show(panel, image: np.ndarray, title: str) -> None:
    panel.imshow(image, interpolation="nearest")
    panel.set_title(title, **FONT)


def _map(figure: Figure, panel, explanation: Explanation, number: int, title: str, colormap: str) -> None:
    values = explanation.maps[number]
    scale = _scale(values, explanation.maps)
    panel.imshow(values, cmap=_colours(scale, colormap), norm=scale)
    panel.set_title(title, **FONT)
    _bar(figure, panel, scale, values, colormap, 0.046)


def _scale(values: np.ndarray, all_values: np.ndarray) -> Normalize:
    """0 to nearly the largest magnitude, so that a few bright pixels do not darken all others; from minus that where
    a method's maps have negative values."""
    largest = float(np.percentile(np.abs(values), BRIGHTEST)) or float(np.abs(values).max()) or 1.0
    return Normalize(-largest if all_values.min() < 0 else 0.0, largest)


def _colours(scale: Normalize, colormap: str):
    return palette(SIGNED if scale.vmin < 0 else colormap)


def _bar(figure: Figure, panels, scale: Normalize, values: np.ndarray, colormap: str, share: float) -> None:
    """A colour bar in raw numbers, pointed where values go beyond it."""
    beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    ends = beyond[bool(values.min() < scale.vmin), bool(values.max() > scale.vmax)]
    mappable = ScalarMappable(scale, _colours(scale, colormap))
    bar = figure.colorbar(mappable, ax=panels, fraction=share, pad=0.02, extend=ends)
    bar.ax.tick_params(labelsize=7)
