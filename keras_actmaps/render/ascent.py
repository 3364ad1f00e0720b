"""The figure of activation maximization: the image that maximizes each target, above the best real image."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_actmaps.render.images import pixels
from keras_actmaps.render.panels import panel_grid, show_image

COLUMNS = 5
MANY, MANY_COLUMNS = 20, 8  # from this number of targets on, this number of panels side by side


def ascent_figure(
    images: ArrayLike,
    titles: Sequence[str],
    real: ArrayLike | None = None,
    real_titles: Sequence[str] | None = None,
    caption: str = "",
) -> Figure:
    """One image per target, each above the real image with the highest score.

    Parameters
    ----------
    images : array of shape (K, H, W, 1 or 3)
    titles : sequence of str
        One per target.
    real : array like `images`, optional
    real_titles : sequence of str, optional
    caption : str
    """
    rows = [(pixels(images), titles)] + ([] if real is None else [(pixels(real), real_titles or [""] * len(titles))])
    columns = columns_for(len(titles))
    blocks = -(-len(titles) // columns)
    figure, axes = panel_grid(blocks * len(rows), columns, caption)
    for row, (drawn, row_titles) in enumerate(rows):
        panels = axes[row :: len(rows)].ravel()
        for panel, image, title in zip(panels, drawn, row_titles):
            show_image(panel, image, title)
    return figure


def columns_for(count: int) -> int:
    """The number of panels side by side."""
    return min(count, MANY_COLUMNS if count >= MANY else COLUMNS)
