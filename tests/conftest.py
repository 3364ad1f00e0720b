"""Small networks with random weights, and the real data where $TFDS_DATA_DIR names it."""

import importlib.util
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
TESTS = Path(__file__).parent
collect_ignore_glob, collect_ignore = [], []
if importlib.util.find_spec("tensorflow") is None:  # which the pipelines need, and the commands that use them
    collect_ignore_glob += ["data/*", "cli/figures/*", "training/*"]
    collect_ignore += [f"cli/test_{name}.py" for name in ("commands", "compare", "texts", "tf_explain")]
if BACKEND != "tensorflow" or importlib.util.find_spec("tf_explain") is None:  # whose classes are TensorFlow's
    collect_ignore_glob += ["tf_explain/*"]


def pytest_collection_modifyitems(items):
    """Measure the coverage in the folders of $COVERED only, where it is set: measuring takes half as long again."""
    covered = tuple(str(TESTS / folder) for folder in os.environ.get("COVERED", "").split())
    for item in items:
        if covered and not str(item.path).startswith(covered):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session")
def tfds_data_dir():
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder:
        pytest.skip("TFDS_DATA_DIR is not set, so there is no real data to test on")
    return folder


@pytest.fixture
def images():
    return np.random.default_rng(0).random((5, 12, 16, 3), "float32")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run on a few drawn grids, of a network that has learnt nothing."""
    pytest.importorskip("tensorflow")
    from keras_actmaps import data, models
    from keras_actmaps.training.checkpoint_file import model_bytes
    from keras_actmaps.training.run_folder import RunFolder

    info = data.load("drawn-grid", limit=16).info
    record = {name: getattr(info, name) for name in ("classes", "scale", "notice", "source")}
    folder = RunFolder(tmp_path_factory.mktemp("runs"), "drawn-grid")
    folder.begin({"dataset": "drawn-grid", "data": {"limit": 16}, **record}, "")
    keras.utils.set_random_seed(0)
    return folder.publish(model_bytes(models.grid_cnn(), folder.partial), [], {})
