"""Perturb: erase, blur, shift or swap the background, and see the prediction and the map move."""

from typing import Any

import numpy as np
import streamlit as st

from keras_actmaps import render
from keras_actmaps.core.types import Array
from keras_actmaps.methods import METHODS
from keras_actmaps.ui import components
from keras_actmaps.ui.explaining import support_of
from keras_actmaps.ui.inputs import Gallery, Picture
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.perturbing import FILLS, Answer, answer, decode_mask, perturb
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs.look import show_look

ROWS = 5
WHERE = ("what I paint", "all but what I paint (the background)")


def show(session: Session, loaded: Loaded, picture: Picture, gallery: Gallery | None) -> None:
    """Draw the tab."""
    if picture.pixels is None:
        st.info("The brush is for images.")
        return
    fitting = support_of(loaded, picture).methods
    quick = [name for name in fitting if METHODS[name].single_pass]
    if not quick:
        st.info("No method that answers in real time fits this model.")
        return
    show_look()
    _panel(session, loaded, picture, gallery, quick)


@st.fragment
def _panel(session: Session, loaded: Loaded, picture: Picture, gallery: Gallery | None, quick: list[str]) -> None:
    """The controls, the image and the answer: only this is drawn again after a stroke."""
    pixels = np.asarray(picture.pixels)
    height, width = pixels.shape[:2]
    first, second, third = st.columns(3)
    method = first.selectbox("Method", quick, quick.index("gradcam") if "gradcam" in quick else 0, key="brush-method")
    outside = second.selectbox("Replace", WHERE, key="brush-where") == WHERE[1]
    fills = [fill for fill in FILLS if fill != "another image" or (gallery is not None and len(gallery) > 1)]
    fill = third.selectbox("by", fills, key="brush-fill")
    left, right = st.columns(2)
    across = left.slider("Shift right, pixels", -width // 2, width // 2, 0, key=f"shift-x-{width}")
    down = right.slider("Shift down, pixels", -height // 2, height // 2, 0, key=f"shift-y-{height}")
    key = f"{loaded.choice.key} {picture.key}"
    sent = st.session_state.get("brush", {})
    mask = decode_mask(str(sent.get("mask") or ""), (height, width))
    if st.session_state.get("brush-of") != key:
        st.session_state["brush-of"], mask = key, np.zeros((height, width), bool)
    other = _another(gallery, picture, pixels.shape) if fill == "another image" else None
    changed = perturb(pixels, mask, fill, outside, (across, down), other)
    try:
        before = _before(session, loaded, picture, method, key)
        now = answer(loaded, changed, method, session.view, before.target)
    except ValueError as error:
        st.error(str(error))
        return
    st.session_state["brush-number"] = number = st.session_state.get("brush-number", 0) + 1
    data = _data(loaded, picture, changed, method, before, now) | {"key": key, "number": number}
    components.mount("brush", "brush", data, values=("mask",))


def _before(session: Session, loaded: Loaded, picture: Picture, method: str, key: str) -> Answer:
    """The answer to the image as it was, kept until the question changes."""
    question = (key, method, session.view.target, session.view.minus, session.view.layer)
    kept = st.session_state.get("brush-before")
    if kept is None or kept[0] != question:
        kept = (question, answer(loaded, np.asarray(picture.pixels), method, session.view))
        st.session_state["brush-before"] = kept
    return kept[1]


def _another(gallery: Gallery | None, picture: Picture, shape: tuple[int, ...]) -> Array | None:
    """The next image of the gallery, as a background."""
    if gallery is None:
        return None
    number = int(picture.key.removeprefix("test:")) + 1 if picture.key.startswith("test:") else 0
    return render.fit(gallery.pixels[number % len(gallery)], (shape[0], shape[1], shape[2]))


def _data(loaded: Loaded, picture: Picture, changed: Array, method: str, before: Answer, now: Answer) -> dict[str, Any]:
    rows = []
    if before.probabilities is not None and now.probabilities is not None:
        best = np.argsort(-np.maximum(before.probabilities, now.probabilities))[:ROWS]
        for number in map(int, best):
            old, new = float(before.probabilities[number]), float(now.probabilities[number])
            rows.append({"name": loaded.name(number), "before": old, "now": new, "text": f"{old:.1%} → {new:.1%}"})
    height, width = changed.shape[:2]
    target = "" if now.target is None else f"{loaded.name(now.target)} · "
    return {
        **{"image": components.as_png(changed), "height": height, "width": width, "rows": rows, "title": method},
        **{"map": components.as_numbers(now.map), "label": f"Map of {method} for the changed image"},
        **{"hint": picture.title, "note": f"{target}score {before.score:.3g} → {now.score:.3g}"},
    }
