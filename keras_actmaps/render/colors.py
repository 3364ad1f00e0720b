"""Maps as colors and overlays; zero means the same everywhere."""

from collections.abc import Sequence
from typing import Annotated, Literal

import cv2
import matplotlib
import numpy as np
from matplotlib.colors import Colormap, Normalize
from numpy.typing import ArrayLike

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Ge, Le, Lt, Setting, show
from keras_actmaps.core.types import Array
from keras_actmaps.render.images import pixels

SIGNED = "RdBu_r"  # the colors of maps with two signs: red for positive, blue for negative
BRIGHTEST = 99.5  # the percentile of magnitudes at which the colors of a raw map end
WHITE = (255, 255, 255)
PIXELS_PER_LINE = 320  # of a contour
ALPHA = Setting("alpha", Literal["map"] | Annotated[float, Ge(0), Le(1)], 0.5, "opacity of the map")
CONTOURS = Setting("contours", Annotated[float, Ge(0), Lt(1)] | None, None, "fraction of the maximum")
_RESIZE = Setting("resize", bool, False, "")


def normalize(maps: ArrayLike) -> Array:
    """The positive part of maps (..., H, W), divided by its maximum, image by image.

    A map without positive values gives 0 everywhere.
    """
    positive = np.maximum(np.asarray(maps, "float32"), 0)
    highest = positive.max(axis=(-2, -1), keepdims=True)
    return positive / np.where(highest > 0, highest, 1)


def colorize(values: Array, colormap: str = "turbo") -> Array:
    """Values 0..1 (...) as uint8 RGB (..., 3); ValueError for an unknown colormap."""
    return (palette(colormap)(values)[..., :3] * 255).round().astype("uint8")


def heatmap(explanation: Explanation, colormap: str = "turbo") -> Array:
    """The normalized maps in color: uint8 RGB (N, H, W, 3), or (N, K, H, W, 3) for K targets per image."""
    return colorize(normalize(explanation.maps), colormap)


def overlay(
    explanation: Explanation,
    images: ArrayLike,
    alpha: float | str = 0.5,
    colormap: str = "turbo",
    contours: float | None = None,
    bands: str | Sequence[int] = "mean",
    resize: bool = False,
) -> Array:
    """The images blended with their normalized maps.

    Parameters
    ----------
    explanation : Explanation
        Maps (N, H, W), or (N, K, H, W) of K targets per image.
    images : array of shape (N, H, W, C)
        In any common range; see `pixels`.
    alpha : float or "map"
        0 shows the image only, 1 the map only; "map" lets the opacity follow the map, so that the image is unchanged
        where the map is 0.
    colormap : str
        Name of a Matplotlib colormap.
    contours : float, optional
        Draws a white line around the pixels above this fraction of each map's maximum, thicker in large images.
    bands
        As for `pixels`.
    resize : bool
        Whether maps are enlarged to larger images that show the same as the inputs of the model, by linear
        interpolation, which adds no values above the maximum.

    Returns
    -------
    uint8 array of shape (N, H, W, 3) or (N, K, H, W, 3)

    Raises
    ------
    ValueError
        For an alpha or contours outside 0..1, an unknown colormap, and images that do not fit the maps.
    """
    alpha, contours, resize = ALPHA.validate(alpha), CONTOURS.validate(contours), _RESIZE.validate(resize)
    below, values = pixels(images, bands), normalize(explanation.maps)
    if resize and all(large >= small for large, small in zip(below.shape[1:3], values.shape[-2:])):
        values = enlarged(values, below.shape[1:3])
    if below.shape[:-1] != (values.shape[0], *values.shape[-2:]):
        raise ValueError(f"images of shape {np.shape(images)} do not fit maps of shape {explanation.maps.shape}")
    if values.ndim == below.ndim:
        below = below[:, None]
    return blend(below, values, alpha, colormap, contours)


def blend(below: Array, values: Array, alpha: float | str, colormap: str, contours: float | None = None) -> Array:
    """Pixels (..., H, W, 3) below values 0..1 (..., H, W) in color, as `overlay` does it."""
    weight = values[..., None] if isinstance(alpha, str) else np.float32(alpha)
    blended = (1 - weight) * below.astype("float32") + weight * colorize(values, colormap).astype("float32")
    blended = blended.round().astype("uint8")
    if contours is not None:
        blended[_edges(values > contours)] = WHITE
    return blended


def _edges(inside: Array) -> Array:
    """The pixels of masks (..., H, W) near one outside of them: next to it, and further in images above 480 pixels."""
    core = inside
    for _ in range(max(1, round(max(inside.shape[-2:]) / PIXELS_PER_LINE))):
        padded = np.pad(core, [(0, 0)] * (inside.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
        up, down = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]
        core = core & up & down & padded[..., 1:-1, :-2] & padded[..., 1:-1, 2:]
    return inside & ~core


def enlarged(values: Array, size: tuple[int, int]) -> Array:
    """Maps (..., H, W) at another size, with centers of pixels aligned as OpenCV does it."""
    flat = values.reshape(-1, *values.shape[-2:])
    large = [cv2.resize(one, size[::-1], interpolation=cv2.INTER_LINEAR) for one in flat]
    return np.reshape(large, (*values.shape[:-2], *size))


def palette(name: str) -> Colormap:
    """A Matplotlib colormap by name; ValueError for an unknown one."""
    if not isinstance(name, str) or name not in matplotlib.colormaps:
        usual = "turbo, viridis, magma, inferno, jet, hot, gray, RdBu_r, coolwarm"
        raise ValueError(f"colormap must be one of {usual} or another of Matplotlib, got {show(name)}")
    return matplotlib.colormaps[name]


def map_norm(values: Array, all_values: Array) -> Normalize:
    """The scale of a raw map: from 0, or from minus the end where the method has negative values.

    It ends at a high percentile of the magnitudes, so that a few extreme pixels do not determine it.
    """
    largest = float(np.percentile(np.abs(values), BRIGHTEST)) or float(np.abs(values).max()) or 1.0
    return Normalize(-largest if all_values.min() < 0 else 0.0, largest)


def map_colors(norm: Normalize, colormap: str) -> Colormap:
    """The colormap of a raw map: red and blue on a scale with two signs."""
    return palette(SIGNED if (norm.vmin or 0.0) < 0 else colormap)
