"""Model files, runs, settings and arrays of others run no code; what a file needs is named."""

import json
import pickle
import sys
import zipfile

import keras
import numpy as np
import pytest

from keras_actmaps import Explanation, models
from keras_actmaps.models.model_files import load_model
from keras_actmaps.training import runs


def network(*inner):
    images = x = keras.Input((4, 4, 3))
    for layer in inner:
        x = layer(x)
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that appears when hostile code has run, and a module that makes it when it is imported."""
    path = tmp_path / "code_has_run"
    (tmp_path / "hostile_module.py").write_text(f"import pathlib\npathlib.Path({str(path)!r}).touch()\nThing = int\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("hostile_module", None)


def rewrite(path, change):
    """Change the configuration in a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore")
def test_the_code_of_a_lambda_is_run_only_where_that_is_allowed(tmp_path, marker, suffix):
    name = str(marker)
    layer = keras.layers.Lambda(lambda x: (__import__("os").makedirs(name, exist_ok=True), x)[1], name="trap")
    network(layer).save(tmp_path / f"model.{suffix}")
    marker.rmdir()
    with pytest.raises(
        ValueError, match=r"contains Python code in the layer 'trap', which is not run; .* --allow-unsafe"
    ):
        load_model(tmp_path / f"model.{suffix}")
    assert not marker.exists()
    load_model(tmp_path / f"model.{suffix}", allow_unsafe=True)
    assert marker.is_dir()


@pytest.mark.parametrize("place", ["module", "both"])
def test_a_module_that_a_file_names_is_not_imported(tmp_path, marker, place):
    network(keras.layers.ReLU()).save(tmp_path / "model.keras")

    def inject(config):
        layer = config["config"]["layers"][1]
        layer["module"] = "hostile_module"
        layer |= {"class_name": "Thing", "registered_name": "Thing"} if place == "both" else {}

    rewrite(tmp_path / "model.keras", inject)
    with pytest.raises(ValueError, match=r"needs the object hostile_module\.(Thing|ReLU), which the file does not"):
        load_model(tmp_path / "model.keras")
    assert not marker.exists() and "hostile_module" not in sys.modules


def test_what_a_file_needs_is_named_and_found_once_it_is_registered(tmp_path):
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    network(Doubled()).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"needs the object .*Doubled, which the file does not contain; in Python"):
        load_model(tmp_path / "model.keras")
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        loaded = load_model(tmp_path / "model.keras")
    assert any(isinstance(layer, Doubled) for layer in loaded.layers)


def test_every_layer_of_keras_is_loaded(tmp_path):
    inner = [
        keras.layers.Rescaling(0.5),
        keras.layers.TimeDistributed(keras.layers.Dense(3, activation="relu", kernel_regularizer="l2")),
        keras.layers.Activation(keras.activations.gelu),
        keras.layers.Conv2D(3, 1, kernel_initializer=keras.initializers.HeNormal(), kernel_constraint="max_norm"),
    ]
    model = network(*inner)
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"model.{suffix}")
        images = np.random.default_rng(0).random((2, 4, 4, 3), "float32")
        loaded = load_model(tmp_path / f"model.{suffix}")
        np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5)


class Bomb:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_arrays_with_pickled_objects_are_refused(tmp_path, marker):
    np.savez(tmp_path / "bomb.npz", maps=np.array([Bomb(marker)], object), conv1=np.array([Bomb(marker)], object))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb(marker)))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="dense")])
    np.savez(tmp_path / "weights.npz", **{"dense/kernel": np.array([Bomb(marker)], object), "dense/bias": np.zeros(1)})
    for name in ("bomb.npz", "raw.npz", "weights.npz"):
        with pytest.raises((ValueError, OSError)):
            Explanation.load(tmp_path / name)
        with pytest.raises(ValueError, match="do not fit"):
            models.load_weights(model, tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize(
    "record",
    ["[]", "3", "{}", '{"dataset": "__import__(\'os\')"}', "[" * 100_000, '{"classes": 3, "scale": "x"}', "\0"],
)
def test_the_record_of_a_hostile_run_is_one_error(tmp_path, record):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(record)
    (tmp_path / "run" / "metrics.json").write_text("{}")
    network().save(tmp_path / "run" / "model.keras")
    with pytest.raises(ValueError, match=r"run\.json'"):
        runs.open_run(tmp_path / "run")
