"""The teaching figure of pooling."""

from pathlib import Path
from typing import Annotated

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.figures.registry import Figure
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.features import pooling as features
from keras_actmaps.features.settings import Depth, Filters, KernelSize, Pool


def pooling(
    request: Request,
    *,
    kernel_size: KernelSize = None,
    layers: Depth = 1,
    pool: Pool = 2,
    channels: Annotated[Count, "maximum number of channels drawn, the most active first"] = 6,
    filters: Filters = 16,
    seed: Seed = 0,
) -> list[Path]:
    """Draw the features of the convolution `--layer`, by default the first, before and after pooling."""
    blocks = features.pooling(
        request.traced, request.images.arrays, request.layer, kernel_size, layers, pool, filters, seed
    )
    figure = render.pooling_figure(
        [(block.name, [block.before, block.maximum, block.average]) for block in blocks],
        request.pixels,
        request.titles,
        request.caption(f"before and after pooling {pool}×{pool}, one scale for all"),
        channels,
        request.colormap or "gray",
    )
    arrays = {"names": np.array([block.name for block in blocks])}
    for number, block in enumerate(blocks):
        parts = {"before": block.before, "maximum": block.maximum, "average": block.average}
        arrays |= {f"{number}/{part}": values for part, values in parts.items()}
    written = save_arrays(request.folder / "pooling.npz", **arrays)
    return [written, render.save(figure, request.folder / "pooling.png")]


FIGURE = Figure(
    name="pooling",
    function=pooling,
    needs_images=True,
    needs_model=False,
    summary="A convolution and ReLU before and after max and average pooling",
    paper="Scherer et al. 2010",
    cost="one forward pass.",
    limitations="shows the effect of pooling on one image, not its benefit for the network.",
)
