"""The page. Streamlit runs this file: `streamlit run keras_actmaps/ui/app.py`, or `python explain.py --ui`."""

import importlib.util
import sys
from pathlib import Path

import streamlit as st

if importlib.util.find_spec("keras_actmaps") is None:  # Streamlit puts the folder of this file on the path, not ours
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from keras_actmaps.ui import config, explaining, models, state, theme
from keras_actmaps.ui.config import Config
from keras_actmaps.ui.inputs import Gallery, Picture, for_model, read_tokens
from keras_actmaps.ui.models import Choice, Loaded
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs import audit, choose, compare, explain, first_visit, inside, perturb, training

TABS = ("Choose", "Explain", "Perturb", "Compare", "Inside", "Training", "Audit")


def main() -> None:
    """Draw the page."""
    st.set_page_config("keras_actmaps", ":material/center_focus_strong:", "wide", "collapsed")
    options, session = config.parse(), state.session()
    available = models.choices(options)
    choice = _choice(session, available)
    subtitle = "activation maps and attributions of a Keras model"
    theme.page("keras_actmaps", subtitle)
    if choice is None:
        first_visit.show(session, options, available)
        return
    choose.choose_model(session, available, choice)
    loaded = _load(choice)
    if loaded is None:
        return
    session.change(model=choice.key)
    gallery = _gallery(loaded, options)
    picture = _picture(session, loaded, gallery)
    _tabs(session, options, loaded, gallery, picture)
    state.write_link(session.view)


def _choice(session: Session, available: list[Choice]) -> Choice | None:
    """The model of the view; the newest run, or the first file, if the view names none that is available."""
    chosen = models.find_choice(session.view.model, available)
    if chosen is None and session.view.model:
        st.warning(f"The model {session.view.model[:80]!r} of this link is not available here.")
        session.change(model="", image="")
    return chosen or next((one for one in available if one.kind != "application"), None)


def _load(choice: Choice) -> Loaded | None:
    try:
        return explaining.load_model(choice, choice.version)
    except (ValueError, OSError, ImportError, MemoryError) as error:
        st.error(f"The model cannot be loaded: {' '.join(str(error).split())[:500]}")
        return None


def _gallery(loaded: Loaded, options: Config) -> Gallery | None:
    try:
        return explaining.load_gallery(loaded.choice.key, loaded.choice.version, loaded, options)
    except (ValueError, OSError, ImportError) as error:
        st.warning(f"The images of the data set cannot be read: {' '.join(str(error).split())[:300]}")
        return None


def _picture(session: Session, loaded: Loaded, gallery: Gallery | None) -> Picture | None:
    """The image of the view, or the first of the gallery."""
    key = session.view.image
    if key in session.uploads:
        return for_model(session.uploads[key], loaded)
    if loaded.length is not None:
        return _tokens(key, loaded)
    position = key.removeprefix("test:")
    if gallery is None or not len(gallery):
        return None
    is_known = key.startswith("test:") and position.isdecimal() and int(position) < len(gallery)
    picture = gallery.picture(int(position) if is_known else 0, loaded)
    session.change(image=picture.key)
    return picture


def _tokens(key: str, loaded: Loaded) -> Picture | None:
    """The tokens of a link; None for none or others than the model takes."""
    try:
        return read_tokens(key.removeprefix("text:"), loaded)
    except ValueError:
        return None


def _tabs(session: Session, options: Config, loaded: Loaded, gallery: Gallery | None, picture: Picture | None) -> None:
    tabs = dict(zip(TABS, st.tabs(TABS, on_change="rerun", key="tab")))
    name = next((name for name in TABS if tabs[name].open), TABS[0])
    with tabs[name]:
        if name == "Choose":
            choose.show(session, loaded, gallery, picture)
        elif name == "Training":
            training.show(options, loaded)
        elif name == "Audit":
            audit.show(loaded)
        elif picture is None:
            st.info("Choose an image first.")
        elif name == "Explain":
            explain.show(session, loaded, picture, gallery, options)
        elif name == "Perturb":
            perturb.show(session, loaded, picture, gallery)
        elif name == "Compare":
            compare.show(session, loaded, picture)
        else:
            inside.show(session, loaded, picture, gallery)


if __name__ == "__main__":
    main()
