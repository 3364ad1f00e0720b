"""Feature maps for explain.py."""

from pathlib import Path

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.features import feature_maps
from keras_actmaps.methods.registry import check_count

MOST_LAYERS = 12  # of one picture


def feature_maps(asked: Request, *, channels=16, order="activity", scale="channel") -> list[Path]:
    """What each channel of the layers makes of the image (Yosinski et al. 2015, section 2).

    --layer: names or kinds ("conv", "relu", "pool", a Keras class, "all"), separated by commas; all convolutions if
    none is given. channels: the most of a layer that are drawn. order: "activity", the highest mean |a| first, or
    "index". scale: "channel", each at its own, or "layer", one for all. The .npz holds all channels, raw, by layer.
    Cost: one forward pass.
    Fails: shows what is computed, not what is used: a bright map may move no score.
    """
    check_count("channels", channels)
    render.check_choices(order, scale)
    layers = asked.layer.split(",") if asked.layer else None
    found = feature_maps.feature_maps(asked.probe, asked.images.arrays, layers)
    evenly = np.linspace(0, len(found) - 1, min(len(found), MOST_LAYERS)).round().astype(int)
    drawn = {path: found[path] for path in [list(found)[place] for place in evenly]}
    words = f"{len(drawn)} of {len(found)} layers" if len(drawn) < len(found) else "feature maps"
    figure = render.feature_figure(
        drawn, asked.pixels, asked.titles, asked.caption(words), channels, order, scale, asked.colormap or "gray"
    )
    written = save_arrays(asked.folder / "feature_maps.npz", **found)
    return [written, render.save(figure, asked.folder / "feature_maps.png")]


feature_maps.of_images = True
