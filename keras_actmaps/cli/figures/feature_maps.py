"""The figure of feature maps."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.figures.registry import Figure, require_traced
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.core.settings import Count
from keras_actmaps.features import feature_maps as features

MAX_LAYERS = 12  # in one picture


def feature_maps(
    request: Request,
    *,
    channels: Annotated[Count, "maximum number of channels drawn per layer"] = 16,
    order: Annotated[
        Literal["activity", "index"], "order of the channels: by mean absolute activation, or by number"
    ] = "activity",
    scale: Annotated[Literal["channel", "layer"], "whether each channel or each layer has its own scale"] = "channel",
) -> list[Path]:
    """Draw the channels of the layers `--layer`: names, paths or types, separated by commas; None is all convolutions.

    The .npz file contains the raw features of all channels, by layer.
    """
    layers = request.layer.split(",") if request.layer else None
    maps = features.feature_maps(require_traced(request), request.images.arrays, layers)
    paths = list(maps)
    evenly = np.linspace(0, len(paths) - 1, min(len(paths), MAX_LAYERS)).round().astype(int)
    drawn = {paths[number]: maps[paths[number]] for number in evenly}
    caption = f"{len(drawn)} of {len(maps)} layers" if len(drawn) < len(maps) else "feature maps"
    figure = render.feature_figure(
        drawn,
        request.pixels,
        request.titles,
        request.caption(caption),
        channels,
        order,
        scale,
        request.colormap or "gray",
    )
    written = save_arrays(request.folder / "feature_maps.npz", **maps)
    return [written, render.save(figure, request.folder / "feature_maps.png")]


FIGURE = Figure(
    name="feature_maps",
    function=feature_maps,
    needs_images=True,
    summary="The activations of the channels of layers for an image",
    paper="Yosinski et al. 2015, section 2",
    cost="one forward pass.",
    limitations="shows what is computed, not what is used: a channel with high activations may not affect any score.",
)
