"""Maps become colours and overlays; zero means the same everywhere: nothing."""

import matplotlib
import numpy as np
from matplotlib.colors import Normalize

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.render.images import pixels

SIGNED = "RdBu_r"  # the colours of maps with two signs: red speaks for the target, blue against it
BRIGHTEST = 99.5  # the percentile of magnitudes at which the colours of a raw map end


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


def palette(name: str):
    """A Matplotlib colour map by name; ValueError names some."""
    if name not in matplotlib.colormaps:
        usual = "turbo, viridis, magma, inferno, jet, hot, gray, RdBu_r, coolwarm"
        raise ValueError(f"no colour map {name!r}; there are: {usual} and Matplotlib's others")
    return matplotlib.colormaps[name]


def scale_of(values: np.ndarray, all_values: np.ndarray) -> Normalize:
    """0 to nearly the largest magnitude, so that a few bright pixels do not darken all others; from minus that where
    a method's maps have negative values."""
    largest = float(np.percentile(np.abs(values), BRIGHTEST)) or float(np.abs(values).max()) or 1.0
    return Normalize(-largest if all_values.min() < 0 else 0.0, largest)


def colours_of(scale: Normalize, colormap: str):
    """The colour map for a scale: red and blue where it has two signs."""
    return palette(SIGNED if scale.vmin < 0 else colormap)
