"""A place of the image: the channels that speak most for the class there, and where else they respond."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from keras_actmaps import render
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.types import Array
from keras_actmaps.features.exemplars import exemplars
from keras_actmaps.ui.explaining import target_of
from keras_actmaps.ui.inputs import Gallery, Picture
from keras_actmaps.ui.looking import TILE, tiles
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.places import contributions
from keras_actmaps.ui.state import Session

CHANNELS, EXAMPLES = 4, 5


def validated(place: Any, width: int, height: int) -> tuple[int, int] | None:
    """A place that the browser sent; None if it is not one."""
    if not isinstance(place, Mapping):
        return None
    x, y = place.get("x"), place.get("y")
    if not isinstance(x, int) or not isinstance(y, int):
        return None
    return (x, y) if 0 <= x < width and 0 <= y < height else None


def show(session: Session, loaded: Loaded, picture: Picture, gallery: Gallery | None) -> None:
    """Draw what the features at the clicked place say."""
    if session.place is None or picture.pixels is None:
        return
    x, y = session.place
    height, width = picture.pixels.shape[:2]
    if x >= width or y >= height:
        return
    layer = session.view.layer or str(loaded.traced.layer)
    st.subheader(f"What the features at ({x}, {y}) say", anchor=False)
    target = target_of(loaded, session.view.target, session.view.minus)
    try:
        traced = as_traced(loaded.model, layer)
        values, (row, column) = contributions(traced, picture.inputs, target, (x + 0.5) / width, (y + 0.5) / height)
    except ValueError as error:
        st.caption(str(error))
        return
    best = [int(channel) for channel in np.argsort(-values)[:CHANNELS] if values[channel] > 0]
    st.caption(
        f"Layer {layer}, cell ({column}, {row}): the channels add {values[values > 0].sum():.3g} to the score there "
        f"and take {-values[values < 0].sum():.3g} from it (features times gradients)."
    )
    if not best:
        st.info("No channel speaks for the class at this place.")
        return
    found = None if gallery is None else _exemplars(loaded, layer, tuple(best), gallery)
    for number, channel in enumerate(best):
        left, right = st.columns([1, 3], vertical_alignment="center")
        left.metric(f"channel {channel}", f"{values[channel]:+.3g}")
        if found is not None:
            right.image(_row(gallery, found[number]), caption=f"images that activate channel {channel} most")


def _exemplars(loaded: Loaded, layer: str, channels: tuple[int, ...], gallery: Gallery) -> Array:
    """The positions (K, k) of the images with the highest activation of each channel."""
    count = min(EXAMPLES, len(gallery))
    return exemplars(loaded.model, loaded.encode(gallery.pixels), layer, list(channels), count).indices


def _row(gallery: Gallery | None, positions: Array) -> Array:
    """Images side by side."""
    images = [] if gallery is None else [render.pixels(gallery.pixels[[position]])[0] for position in positions]
    return tiles([render.fit(image, (TILE, TILE, 3)) for image in images], EXAMPLES)
