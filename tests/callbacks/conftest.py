"""Data for the fits, and no film where a test does not need one."""

import pytest
from helpers import fits

import keras_actmaps as kam


@pytest.fixture(scope="module")
def data():
    return fits.make_data()


@pytest.fixture(autouse=True)
def _film(request, monkeypatch):
    """Draw a film, which takes a second, only in tests of the strip."""
    if "strip" not in request.node.name:
        monkeypatch.setattr(kam.render, "film", lambda frames, titles, captions, path, speed: path)
