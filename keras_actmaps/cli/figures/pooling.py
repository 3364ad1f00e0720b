"""The teaching figure of pooling for explain.py."""

from pathlib import Path

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.features import pooling as inside
from keras_actmaps.methods.registry import check_count


def pooling(asked: Request, *, kernel_size=None, layers=1, pool=2, channels=6, filters=16, seed=0) -> list[Path]:
    """A convolution and ReLU before and after max and average pooling (Scherer et al. 2010).

    --layer: a convolution of the model; its first if none is given. kernel_size: fresh convolutions of these sizes
    instead, such as 3,5,7, of `filters` from `seed`. layers: how many convolutions, one on another. pool: the side of
    the window. channels: the most that are drawn, most active first.
    Cost: one forward pass.
    Fails: says what pooling keeps of one image, not what the network gains by it.
    """
    check_count("channels", channels)
    found = inside.pooling(asked.probe, asked.images.arrays, asked.layer, kernel_size, layers, pool, filters, seed)
    caption = asked.caption(f"before and after pooling {pool}×{pool}, one scale for all")
    colours = asked.colormap or "gray"
    blocks = [(block.name, [block.before, block.maximum, block.average]) for block in found]
    figure = render.pooling_figure(blocks, asked.pixels, asked.titles, caption, channels, colours)
    arrays = {f"{number}/{part}": getattr(block, part) for number, block in enumerate(found)
              for part in ("before", "maximum", "average")}  # fmt: skip
    names = np.array([block.name for block in found])
    written = save_arrays(asked.folder / "pooling.npz", names=names, **arrays)
    return [written, render.save(figure, asked.folder / "pooling.png")]


pooling.of_images = pooling.needs_no_model = True
