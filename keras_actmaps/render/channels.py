"""Figures of what is inside a network: the channels of its layers as tiles, and these before and after pooling."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_actmaps.render.colors import BRIGHTEST, palette
from keras_actmaps.render.figures import FONT, in_lines, pointed, show
from keras_actmaps.render.images import pixels

ORDERS, SCALES = ("activity", "index"), ("channel", "layer")
TILES, SIDE, GAP = 8, 0.95, 0.06  # tiles in a row, a tile's width in inches, the gap as a share of it
POOLED = 1.5  # a panel's width in inches
SMALL = {"fontsize": 6.5}


def check_choices(order: str, scale: str) -> None:
    """ValueError for an order or a scale of channels that there is not."""
    for name, given, choices in (("order", order, ORDERS), ("scale", scale, SCALES)):
        if given not in choices:
            raise ValueError(f"no {name} {given!r} of channels; there are: {', '.join(choices)}")


def ranked(features: np.ndarray, order: str = "activity") -> np.ndarray:
    """The channels of features (N,h,w,K): by their mean |a|, constant ones last, or by their index."""
    count = features.shape[-1]
    if order == "index":
        return np.arange(count)
    activity = np.abs(features.astype("float64")).mean(axis=(0, 1, 2))
    return np.lexsort((np.arange(count), -activity, is_constant(features)))


def is_constant(features: np.ndarray) -> np.ndarray:
    """Which channels of features (N,h,w,K) have one value everywhere: bool (K,)."""
    return features.max(axis=(0, 1, 2)) == features.min(axis=(0, 1, 2))


def feature_figure(
    features: Mapping[str, np.ndarray], images, titles: Sequence[str], caption="", channels=16, order="activity",
    scale="channel", colormap="gray",
) -> Figure:  # fmt: skip
    """A block of tiles for each layer, shallow to deep, and each image: `features` of (N,h,w,K) by the layer's path.

    channels: the most drawn of a layer, the same ones for all images. scale: "channel", where the lowest value of a
    channel in all images is drawn darkest and the highest brightest, or "layer", nearly the lowest and highest of a
    whole layer, with a bar in raw numbers. Where a channel is constant in an image, it is hatched.
    """
    check_choices(order, scale)
    drawn = pixels(images)
    chosen = {path: ranked(maps, order)[:channels] for path, maps in features.items()}
    heights = [1.6, *(_height(len(chosen[path]), maps.shape[1:3]) for path, maps in features.items())]
    width = len(drawn) * TILES * SIDE + (0.9 if scale == "layer" else 0.2)
    figure = Figure(figsize=(width, sum(heights) + 0.45 * len(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(heights), len(drawn), squeeze=False, height_ratios=heights)
    for panel in axes.ravel():
        panel.set_axis_off()
    for panel, image, title in zip(axes[0], drawn, titles):
        show(panel, image, title)
    each = "each at its own scale" if scale == "channel" else "one scale for each layer"
    _head(figure, " · ".join(filter(None, [caption, f"{each}; hatched: the same everywhere"])))
    for row, (path, maps) in zip(axes[1:], features.items()):
        _layer(figure, row, path, maps, chosen[path], order, scale, colormap)
    return figure


def pooling_figure(blocks, images, titles: Sequence[str], caption="", channels=6, colormap="gray") -> Figure:
    """Each image beside what a convolution and ReLU make of it: three rows, before, after max and average pooling.

    blocks: (name, [before, maximum, average]) of (N,h,w,K). channels: the most drawn of a block, side by side. There is
    one scale, from 0 to nearly the highest value of all that is drawn; its bar is in raw numbers.
    """
    drawn = pixels(images)
    parts = [(name, rows, ranked(rows[0])[:channels]) for name, rows in blocks]
    columns = 1 + max(len(chosen) for _, _, chosen in parts)
    before = np.concatenate([rows[0][..., chosen].ravel() for _, rows, chosen in parts])
    scale = Normalize(0.0, float(np.percentile(before, BRIGHTEST) or before.max()) or 1.0)
    count = len(drawn) * len(parts)
    figure = Figure(figsize=(POOLED * columns + 0.6, count * (3.2 * POOLED + 0.9) + 0.4), layout="constrained")
    _head(figure, caption)
    for number, place in enumerate(figure.subfigures(count, squeeze=False).ravel()):
        image, (name, rows, chosen) = number // len(parts), parts[number % len(parts)]
        words = f"{name}: {len(chosen)} of {rows[0].shape[-1]} channels, most active first"
        place.suptitle(in_lines(words, figure.get_figwidth()), **FONT)
        axes = place.subplots(3, columns, squeeze=False)
        for panel in axes.ravel():
            panel.set_axis_off()
        title = f"{titles[image]}\n{_by(drawn[image])}".strip()
        show(axes[0, 0], drawn[image], in_lines(title, POOLED))
        _pools(axes[:, 1:], [features[image] for features in rows], chosen, scale, colormap)
        colours, ends = ScalarMappable(scale, palette(colormap)), pointed(scale, before)
        bar = place.colorbar(colours, ax=axes, fraction=0.02, pad=0.01, extend=ends)
        bar.ax.tick_params(labelsize=7)
    return figure


def _pools(axes, rows, chosen, scale: Normalize, colormap: str) -> None:
    """Channels before and after pooling, one below the other; hatched where they are constant."""
    for row, features, word in zip(axes, rows, ("before", "maximum", "average")):
        for panel, channel in zip(row, chosen):
            panel.imshow(features[..., channel], cmap=palette(colormap), norm=scale, interpolation="nearest")
            panel.set_title(f"channel {channel}\n{word}, {_by(features)}", **FONT)
            if rows[0][..., channel].max() == rows[0][..., channel].min():
                _hatch(panel, (-0.5, -0.5), features.shape[1::-1], rows[0][0, 0, channel])


def _layer(figure, row, path: str, maps: np.ndarray, chosen, order: str, scale: str, colormap: str) -> None:
    """The blocks of one layer, one for each image."""
    low, high = (f(maps, axis=(0, 1, 2)) for f in (np.min, np.max))
    if scale == "layer":
        low, high = (np.full_like(low, value) for value in _ends(maps))
    for panel, image_maps in zip(row, maps):
        tiles = (image_maps - low) / np.where(high > low, high - low, 1)
        _tiled(panel, tiles, chosen, is_constant(image_maps[None]), image_maps[0, 0], colormap)
    dead = is_constant(maps)
    count = maps.shape[-1]
    first = "most active first" if order == "activity" else "in order"
    constant = f"; {dead.sum()} constant" if dead.any() else ""
    words = f"{path}: {_by(maps[0])}, {len(chosen)} of {count} channels, {first}{constant}"
    row[0].set_title(in_lines(words, TILES * SIDE), **FONT, loc="left")
    if scale == "layer":
        raw = Normalize(float(low[0]), float(high[0]) if high[0] > low[0] else float(low[0]) + 1)
        colours = ScalarMappable(raw, palette(colormap))
        bar = figure.colorbar(colours, ax=list(row), fraction=0.02, pad=0.01, panchor=False, extend=pointed(raw, maps))
        bar.ax.tick_params(labelsize=7)


def _ends(maps: np.ndarray) -> tuple[float, float]:
    """Nearly the lowest and the highest value, so that a few do not darken all others."""
    low, high = np.percentile(maps, (100 - BRIGHTEST, BRIGHTEST))
    return (low, high) if low < high else (maps.min(), maps.max())


def _tiled(panel, tiles: np.ndarray, chosen, dead, values, colormap: str) -> None:
    """Channels of tiles 0..1 (h,w,K) in rows, each with its number; hatched with its value where it is constant."""
    height, width = tiles.shape[:2]
    gap = GAP * max(height, width)
    for place, channel in enumerate(chosen):
        top, left = (place // TILES) * (height + 2.5 * gap), (place % TILES) * (width + gap)
        extent = (left, left + width, top + height, top)
        panel.text(left, top, str(channel), va="bottom", **SMALL)
        if dead[channel]:
            _hatch(panel, (left, top), (width, height), values[channel])
        else:
            panel.imshow(tiles[..., channel], cmap=palette(colormap), vmin=0, vmax=1, extent=extent,
                         interpolation="nearest")  # fmt: skip
    rows = -(-len(chosen) // TILES)
    panel.set_xlim(0, TILES * (width + gap))
    panel.set_ylim(rows * (height + 2.5 * gap), -2.5 * gap)
    panel.set_aspect("equal", anchor="NW")


def _hatch(panel, corner, sides, value: float) -> None:
    """In the place of a channel of one value: hatches, and the value."""
    panel.add_patch(Rectangle(corner, *sides, hatch="////", facecolor="white", edgecolor="0.6"))
    middle = (corner[0] + sides[0] / 2, corner[1] + sides[1] / 2)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    panel.text(*middle, f"all {value:.2g}", ha="center", va="center", bbox=box, **SMALL)


def _head(figure: Figure, words: str) -> None:
    """A title over the whole figure, in as many lines as its width needs."""
    figure.suptitle(in_lines(words, figure.get_figwidth()), fontsize=10)


def _by(features: np.ndarray) -> str:
    """The sides of (h,w,K): `28×28`."""
    return f"{features.shape[0]}×{features.shape[1]}"


def _height(count: int, shape: tuple[int, int]) -> float:
    """The height in inches of a block of `count` tiles."""
    return -(-count // TILES) * SIDE * (shape[0] / shape[1] + 0.15)
