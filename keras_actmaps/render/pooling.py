"""The figure of pooling: channels before and after max and average pooling."""

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_actmaps.core.types import Array
from keras_actmaps.render.channels import hatch, rank_channels, set_caption, sides_text
from keras_actmaps.render.colors import BRIGHTEST, palette
from keras_actmaps.render.images import pixels
from keras_actmaps.render.panels import TITLE, bar_ends, show_image, wrap_text

PANEL = 1.5  # width in inches


def pooling_figure(
    blocks: Sequence[tuple[str, Sequence[Array]]],
    images: ArrayLike,
    titles: Sequence[str],
    caption: str = "",
    channels: int = 6,
    colormap: str = "gray",
) -> Figure:
    """Each image beside the outputs of a convolution and ReLU in three rows: before, after max, after average pooling.

    All panels share one scale, from 0 to nearly the highest value, with a color bar of raw values.

    Parameters
    ----------
    blocks : sequence of (name, [before, maximum, average])
        Features (N, h, w, K) of each block.
    images : array of shape (N, H, W, 1 or 3)
    titles : sequence of str
        One per image.
    caption : str
    channels : int
        Maximum number of channels drawn per block, the most active first.
    colormap : str
    """
    drawn = pixels(images)
    parts = [(name, rows, rank_channels(rows[0])[:channels]) for name, rows in blocks]
    columns = 1 + max(len(chosen) for _, _, chosen in parts)
    before = np.concatenate([rows[0][..., chosen].ravel() for _, rows, chosen in parts])
    norm = Normalize(0.0, float(np.percentile(before, BRIGHTEST) or before.max()) or 1.0)
    count = len(drawn) * len(parts)
    figure = Figure(figsize=(PANEL * columns + 0.6, count * (3.2 * PANEL + 0.9) + 0.4), layout="constrained")
    set_caption(figure, caption)
    for number, part in enumerate(figure.subfigures(count, squeeze=False).ravel()):
        image, (name, rows, chosen) = number // len(parts), parts[number % len(parts)]
        text = f"{name}: {len(chosen)} of {rows[0].shape[-1]} channels, most active first"
        part.suptitle(wrap_text(text, figure.get_figwidth()), **TITLE)
        axes = part.subplots(3, columns, squeeze=False)
        for panel in axes.ravel():
            panel.set_axis_off()
        title = f"{titles[image]}\n{sides_text(drawn[image])}".strip()
        show_image(axes[0, 0], drawn[image], wrap_text(title, PANEL))
        _draw_rows(axes[:, 1:], [features[image] for features in rows], chosen, norm, colormap)
        mappable, ends = ScalarMappable(norm, palette(colormap)), bar_ends(norm, before)
        bar = part.colorbar(mappable, ax=axes, fraction=0.02, pad=0.01, extend=ends)
        bar.ax.tick_params(labelsize=7)
    return figure


def _draw_rows(axes: Array, rows: Sequence[Array], chosen: Array, norm: Normalize, colormap: str) -> None:
    """Channels before and after pooling, one below the other; hatched where they are constant."""
    for row, features, name in zip(axes, rows, ("before", "maximum", "average")):
        for panel, channel in zip(row, chosen):
            panel.imshow(features[..., channel], cmap=palette(colormap), norm=norm, interpolation="nearest")
            panel.set_title(f"channel {channel}\n{name}, {sides_text(features)}", **TITLE)
            if rows[0][..., channel].max() == rows[0][..., channel].min():
                height, width = features.shape[:2]
                hatch(panel, (-0.5, -0.5), (width, height), rows[0][0, 0, channel])
