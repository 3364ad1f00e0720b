"""The page is tested where Streamlit and TensorFlow, which reads the images, are installed."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "keras_actmaps" / "ui" / "app.py"
if find_spec("streamlit") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def page(run, monkeypatch):
    """A function that opens the page: `page(query) -> AppTest`, which has not yet run."""
    testing = pytest.importorskip("streamlit.testing.v1")

    def opened(*arguments, runs=run.path.parent, **query):
        monkeypatch.setattr(sys, "argv", ["app.py", "--runs", str(runs), *arguments])
        app = testing.AppTest.from_file(str(APP), default_timeout=120)
        for name, value in query.items():
            app.query_params[name] = value
        return app

    return opened
