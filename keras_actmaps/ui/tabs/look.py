"""The sliders that act in the browser, shown above the maps of a tab; their last position is kept in the link."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from keras_actmaps.ui import components

SLIDERS = ("opacity", "threshold", "contour", "box")


@st.fragment
def show_look() -> None:
    """Draw the sliders."""
    data = {"colormaps": components.colormaps(), "look": look_of_link()}
    result = components.mount("look", "look", data, values=("look",))
    if result.look:
        write_look(result.look)


def look_of_link() -> dict[str, Any]:
    """The positions of the sliders in the link; what is malformed is left out."""
    try:
        found = json.loads(st.query_params.get("look", "{}")[:500])
    except (ValueError, RecursionError):
        return {}
    return validated_look(found)


def validated_look(found: Any) -> dict[str, Any]:
    """The positions of sliders that are allowed."""
    if not isinstance(found, Mapping):
        return {}
    look: dict[str, Any] = {
        name: float(found[name])
        for name in SLIDERS
        if isinstance(found.get(name), (int, float)) and 0 <= found[name] <= 1
    }
    return look | ({"colormap": found["colormap"]} if found.get("colormap") in components.COLORMAPS else {})


def write_look(found: Any) -> None:
    """Keep the positions of the sliders in the link."""
    text = json.dumps(validated_look(found), separators=(",", ":"))
    if st.query_params.get("look") != text:
        st.query_params["look"] = text
