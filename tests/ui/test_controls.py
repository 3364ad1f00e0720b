"""The widgets of settings, built from annotations."""

import pytest

from keras_actmaps.methods import METHODS
from keras_actmaps.ui import controls


def settings_page(name):
    import streamlit as st

    from keras_actmaps.methods import METHODS
    from keras_actmaps.ui import controls

    st.session_state.found = controls.settings_widgets(METHODS[name], {}, name)


@pytest.mark.parametrize("name", METHODS)
def test_the_settings_of_every_method_begin_at_their_defaults(name):
    testing = pytest.importorskip("streamlit.testing.v1")
    app = testing.AppTest.from_function(settings_page, args=(name,), default_timeout=60).run()
    assert not app.exception and not app.error
    assert app.session_state["found"] == {}


def test_a_link_sets_what_is_allowed_and_nothing_else():
    texts = {"patch": "12", "stride": "-1", "fill": "blur", "nothing": "1"}
    assert controls.parse_settings(METHODS["occlusion"], texts) == {"patch": 12, "fill": "blur"}
    assert controls.parse_settings(METHODS["saliency"], {"channels": "keep"}) == {}
