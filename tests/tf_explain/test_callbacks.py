"""tf-explain's callbacks: what they write, for every model, compiled once."""

import sys
import warnings

import keras
import numpy as np
import pytest
from helpers.event_files import read_images
from keras import layers

from keras_actmaps import backend
from keras_actmaps.tf_explain import callbacks, core

ARGUMENTS = {
    "OcclusionSensitivityCallback": {"class_index": 0, "patch_size": 4},
    "ActivationsVisualizationCallback": {"layers_name": []},
}


@pytest.fixture
def data():
    return np.random.default_rng(0).random((4, 16, 16, 3), "float32"), np.eye(2)[[0, 1, 1, 0]]


def network():
    parts = [layers.Conv2D(4, 3), layers.ReLU(), layers.Flatten(), layers.Dense(2, activation="softmax")]
    return compiled(keras.Sequential([keras.Input((16, 16, 3)), *parts]))


def compiled(model):
    model.compile("adam", "categorical_crossentropy")
    return model


class Subclassed(keras.Model):
    """A subclassed model that ends in a softmax of its own."""

    def __init__(self):
        super().__init__()
        self.head = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(2)])
        self.softmax = layers.Softmax()

    def call(self, images):
        return self.softmax(self.head(images))


def written_images(folder):
    """The images in the one folder that a callback has created."""
    (log,) = folder.iterdir()
    assert len(list(log.iterdir())) == 1
    return read_images(log)


@pytest.mark.parametrize("kind", ["fused softmax", "subclassed"])
@pytest.mark.parametrize("callback", [callbacks.VanillaGradientsCallback, callbacks.GradientsInputsCallback])
def test_a_callback_writes_what_its_explainer_returns_without_a_warning(tmp_path, data, callback, kind):
    model = compiled(Subclassed()) if kind == "subclassed" else network()
    model(data[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Unsupported model architecture")
        model.fit(*data, verbose=0, callbacks=[callback((data[0], None), 0, tmp_path)])
    ((tag, step, picture),) = written_images(tmp_path)
    expected = getattr(core, tag)().explain((data[0], None), model, 0)
    assert step == 0 and tag == callback.__name__.removesuffix("Callback")
    np.testing.assert_array_equal(picture, np.repeat(expected[..., None], 3, axis=-1))


def test_a_colored_grid_keeps_its_colors(tmp_path, data):
    model = network()
    model.fit(*data, verbose=0, callbacks=[callbacks.GradCAMCallback((data[0], None), 1, output_dir=tmp_path)])
    ((_, _, picture),) = written_images(tmp_path)
    np.testing.assert_array_equal(picture, core.GradCAM().explain((data[0], None), model, 1))


def test_nothing_is_compiled_again_from_epoch_to_epoch(tmp_path, data, monkeypatch):
    programs, compile_function = [], backend.CompiledFunction

    def record(*arguments):
        programs.append(compile_function(*arguments))
        return programs[-1]

    monkeypatch.setattr(backend, "CompiledFunction", record)
    settings = {"validation_data": (data[0], None), "class_index": 0, "output_dir": tmp_path}
    both = [callbacks.GradCAMCallback(**settings), callbacks.GradientsInputsCallback(**settings)]
    network().fit(*data, epochs=4, verbose=0, callbacks=both)
    assert [program.traces for program in programs] == [1, 1]


@pytest.mark.parametrize("name", callbacks.__all__)
def test_compatible_reaches_the_explainer_of_each_callback(tmp_path, monkeypatch, name):
    used = []

    def record(explainer, *arguments, **settings):
        used.append(explainer.compatible)
        return np.zeros((4, 4), "uint8")

    for explainer in core.__all__:
        monkeypatch.setattr(getattr(core, explainer), "explain", record)
    for explainer in ("VanillaGradients", "GradientsInputs"):
        monkeypatch.setattr(getattr(core, explainer), "explain_score_model", record)
    arguments = ARGUMENTS.get(name, {"class_index": 0})
    for compatible in (None, False, True):
        callback = getattr(callbacks, name)(None, output_dir=tmp_path, compatible=compatible, **arguments)
        callback.on_epoch_end(0)
        callback.on_train_end()
    assert used == [False, False, True]


def test_without_tensorboardx_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "keras_actmaps.core.event_files", raising=False)
    with pytest.raises(ImportError, match=r"not installed: pip install keras_actmaps\[tensorboard\]"):
        callbacks.SmoothGradCallback(None, 0, output_dir=tmp_path)
    assert not list(tmp_path.iterdir())
