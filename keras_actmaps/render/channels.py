"""The figure of feature maps: the channels of each layer as tiles."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from keras_actmaps.core.settings import Setting
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import BRIGHTEST, palette
from keras_actmaps.render.images import pixels
from keras_actmaps.render.panels import CAPTION, TITLE, bar_ends, show_image, wrap_text

TILES, SIDE, GAP = 8, 0.95, 0.06  # tiles in a row, the width of a tile in inches, the gap as a share of it
SMALL: dict[str, Any] = {"fontsize": 6.5}
_ORDER = Setting("order", Literal["activity", "index"], "activity", "order of the channels")
_SCALE = Setting("scale", Literal["channel", "layer"], "channel", "what shares a scale of colors")


def check_choices(order: str, scale: str) -> None:
    """ValueError for an unknown order or scale of channels."""
    _ORDER.validate(order)
    _SCALE.validate(scale)


def rank_channels(features: Array, order: str = "activity") -> Array:
    """The channels of features (N, h, w, K) by their mean absolute value, constant ones last, or by their index."""
    count = features.shape[-1]
    if _ORDER.validate(order) == "index":
        return np.arange(count)
    activity = np.abs(features.astype("float64")).mean(axis=(0, 1, 2))
    return np.lexsort((np.arange(count), -activity, is_constant(features)))


def is_constant(features: Array) -> Array:
    """Which channels of features (N, h, w, K) have one value everywhere: bool (K,)."""
    return features.max(axis=(0, 1, 2)) == features.min(axis=(0, 1, 2))


def feature_figure(
    features: Mapping[str, Array],
    images: ArrayLike,
    titles: Sequence[str],
    caption: str = "",
    channels: int = 16,
    order: str = "activity",
    scale: str = "channel",
    colormap: str = "gray",
) -> Figure:
    """A block of tiles for each layer and image, from the first layer to the last.

    A channel that is constant in an image is hatched and labeled with its value.

    Parameters
    ----------
    features : mapping
        Features (N, h, w, K) by the path of the layer.
    images : array of shape (N, H, W, 1 or 3)
    titles : sequence of str
        One per image.
    caption : str
    channels : int
        Maximum number of channels drawn per layer, the same for all images.
    order : {"activity", "index"}
        By mean absolute value, or by index.
    scale : {"channel", "layer"}
        "channel": each channel from its lowest to its highest value in all images. "layer": nearly the lowest to
        nearly the highest value of the whole layer, with a color bar of raw values.
    colormap : str

    Raises
    ------
    ValueError
        For an unknown order, scale or colormap.
    """
    check_choices(order, scale)
    drawn = pixels(images)
    chosen = {path: rank_channels(maps, order)[:channels] for path, maps in features.items()}
    heights = [1.6, *(_block_height(len(chosen[path]), maps.shape[1:3]) for path, maps in features.items())]
    width = len(drawn) * TILES * SIDE + (0.9 if scale == "layer" else 0.2)
    figure = Figure(figsize=(width, sum(heights) + 0.45 * len(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(heights), len(drawn), squeeze=False, height_ratios=heights)
    for panel in axes.ravel():
        panel.set_axis_off()
    for panel, image, title in zip(axes[0], drawn, titles):
        show_image(panel, image, title)
    scaling = "each channel on its own scale" if scale == "channel" else "one scale per layer"
    set_caption(figure, " · ".join(filter(None, [caption, f"{scaling}; hatched: constant channels"])))
    for row, (path, maps) in zip(axes[1:], features.items()):
        low, high = _draw_layer(row, maps, chosen[path], scale, colormap)
        row[0].set_title(
            wrap_text(_layer_title(path, maps, len(chosen[path]), order), TILES * SIDE), **TITLE, loc="left"
        )
        if scale == "layer":
            _add_layer_bar(figure, row, maps, low, high, colormap)
    return figure


def _draw_layer(row: Array, maps: Array, chosen: Array, scale: str, colormap: str) -> tuple[float, float]:
    """The blocks of one layer, one per image; returns the ends of the first channel's scale."""
    low, high = maps.min(axis=(0, 1, 2)), maps.max(axis=(0, 1, 2))
    if scale == "layer":
        low, high = (np.full_like(low, end) for end in _scale_ends(maps))
    for panel, image_maps in zip(row, maps):
        tiles = (image_maps - low) / np.where(high > low, high - low, 1)
        _draw_tiles(panel, tiles, chosen, is_constant(image_maps[None]), image_maps[0, 0], colormap)
    return float(low[0]), float(high[0])


def _layer_title(path: str, maps: Array, drawn: int, order: str) -> str:
    constant = is_constant(maps).sum()
    sorting = "most active first" if order == "activity" else "by index"
    suffix = f"; {constant} constant" if constant else ""
    return f"{path}: {sides_text(maps[0])}, {drawn} of {maps.shape[-1]} channels, {sorting}{suffix}"


def _add_layer_bar(figure: Figure, row: Array, maps: Array, low: float, high: float, colormap: str) -> None:
    norm = Normalize(low, high if high > low else low + 1)
    mappable, ends = ScalarMappable(norm, palette(colormap)), bar_ends(norm, maps)
    bar = figure.colorbar(mappable, ax=list(row), fraction=0.02, pad=0.01, panchor=False, extend=ends)
    bar.ax.tick_params(labelsize=7)


def _scale_ends(maps: Array) -> tuple[float, float]:
    """Nearly the lowest and the highest value, so that a few extreme values do not determine the scale."""
    low, high = np.percentile(maps, (100 - BRIGHTEST, BRIGHTEST))
    return (low, high) if low < high else (maps.min(), maps.max())


def _draw_tiles(panel: Axes, tiles: Array, chosen: Array, constant: Array, values: Array, colormap: str) -> None:
    """Channels of tiles 0..1 (h, w, K) in rows, each with its index; hatched with its value where it is constant."""
    height, width = tiles.shape[:2]
    gap = GAP * max(height, width)
    for number, channel in enumerate(chosen):
        top, left = (number // TILES) * (height + 2.5 * gap), (number % TILES) * (width + gap)
        extent = (left, left + width, top + height, top)
        panel.text(left, top, str(channel), va="bottom", **SMALL)
        if constant[channel]:
            hatch(panel, (left, top), (width, height), values[channel])
        else:
            colors: dict[str, Any] = {"cmap": palette(colormap), "vmin": 0, "vmax": 1}
            panel.imshow(tiles[..., channel], extent=extent, interpolation="nearest", **colors)
    rows = -(-len(chosen) // TILES)
    panel.set_xlim(0, TILES * (width + gap))
    panel.set_ylim(rows * (height + 2.5 * gap), -2.5 * gap)
    panel.set_aspect("equal", anchor="NW")


def hatch(panel: Axes, corner: tuple[float, float], sides: tuple[float, float], value: float) -> None:
    """Draw hatches and the value in place of a constant channel."""
    panel.add_patch(Rectangle(corner, *sides, hatch="////", facecolor="white", edgecolor="0.6"))
    middle = (corner[0] + sides[0] / 2, corner[1] + sides[1] / 2)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    panel.text(*middle, f"all {value:.2g}", ha="center", va="center", bbox=box, **SMALL)


def set_caption(figure: Figure, caption: str) -> None:
    """A caption over the whole figure, in as many lines as its width requires."""
    figure.suptitle(wrap_text(caption, figure.get_figwidth()), **CAPTION)


def sides_text(features: Array) -> str:
    """The height and width of (h, w, K) as text: `28×28`."""
    return f"{features.shape[0]}×{features.shape[1]}"


def _block_height(count: int, shape: tuple[int, ...]) -> float:
    """The height in inches of a block of `count` tiles."""
    return -(-count // TILES) * SIDE * (shape[0] / shape[1] + 0.15)
