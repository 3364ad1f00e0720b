"""Maps as colors and overlays; zero means the same everywhere."""

from typing import Annotated

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, Normalize
from numpy.typing import ArrayLike

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Ge, Le, Setting, show
from keras_actmaps.core.types import Array
from keras_actmaps.render.images import pixels

SIGNED = "RdBu_r"  # the colors of maps with two signs: red for positive, blue for negative
BRIGHTEST = 99.5  # the percentile of magnitudes at which the colors of a raw map end
_ALPHA = Setting("alpha", Annotated[float, Ge(0), Le(1)], 0.5, "opacity of the map")


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


def overlay(explanation: Explanation, images: ArrayLike, alpha: float = 0.5, colormap: str = "turbo") -> Array:
    """The images blended with their normalized maps.

    Parameters
    ----------
    explanation : Explanation
        Maps (N, H, W), or (N, K, H, W) of K targets per image.
    images : array of shape (N, H, W, 1 or 3)
        In any common range; see `pixels`.
    alpha : float
        0 shows the image only, 1 the map only.
    colormap : str
        Name of a Matplotlib colormap.

    Returns
    -------
    uint8 array of shape (N, H, W, 3) or (N, K, H, W, 3)

    Raises
    ------
    ValueError
        For an alpha outside 0..1, an unknown colormap, and images that do not fit the maps.
    """
    alpha = _ALPHA.validate(alpha)
    below = pixels(images).astype("float32")
    above = heatmap(explanation, colormap).astype("float32")
    if below.shape[:-1] != (above.shape[0], *above.shape[-3:-1]):
        raise ValueError(f"images of shape {np.shape(images)} do not fit maps of shape {explanation.maps.shape}")
    if above.ndim > below.ndim:
        below = below[:, None]
    return ((1 - alpha) * below + alpha * above).round().astype("uint8")


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
