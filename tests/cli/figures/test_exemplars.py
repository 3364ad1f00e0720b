"""The figure of exemplars: numbers against a full sort of Keras' own outputs, pictures, output and errors."""

import keras
import numpy as np
import pytest

from keras_actmaps import data, render


@pytest.fixture
def figures(monkeypatch):
    """The arguments of the figures that are drawn."""
    drawn, draw = [], render.exemplar_figure
    monkeypatch.setattr(render, "exemplar_figure", lambda *arguments: drawn.append(arguments) or draw(*arguments))
    return drawn


def outputs(run, name):
    """Keras' own outputs of a layer for all test images, and these images and their labels."""
    images, labels = zip(*[(images, labels) for images, labels, _ in run.data().truth("test").as_numpy_iterator()])
    model, images = run.model(), np.concatenate(images)
    return keras.Model(model.inputs, model.get_layer(name).output).predict(images, verbose=0), images, *labels


def test_numbers_and_picture_of_all_channels(explain, run, tmp_path, files, figures):
    status, _, errors = explain("exemplars", "k=3")
    assert (status, errors) == (0, "")
    assert files() == ["exemplars.npz", "exemplars.png"]
    found, (values, images, *_) = np.load(tmp_path / "out" / "exemplars.npz"), outputs(run, "features")
    best = values.max((1, 2))
    order = np.argsort(-best, axis=0, kind="stable")[:3].T
    np.testing.assert_allclose(found["scores"], np.take_along_axis(best.T, order, 1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(best.T[np.arange(128)[:, None], found["indices"]], found["scores"], rtol=1e-4, atol=1e-4)
    assert (str(found["layer"]), str(found["reduce"]), found["places"].shape) == ("features", "max", (128, 3, 2))
    ((pictures, boxes, silent, titles, projections, caption, size),) = figures
    drawn = np.argsort(-found["scores"][:, 0], kind="stable")[:8]
    np.testing.assert_array_equal(pictures, np.rint(images[found["indices"][drawn]] * 255))
    assert [title.split(":")[0] for title in titles] == [f"channel {channel}" for channel in drawn]
    assert projections.shape == pictures.shape and (len(boxes), silent.shape) == (8, (8, 3)) and size == "18×18 pixels"
    assert "8 of 128 channels" in caption and "a stand-in" in caption


def test_channels_layer_and_reduction(explain, run, tmp_path, figures):
    assert explain("exemplars", "channels=9,2", "k=2", "reduce=mean", layer="conv1")[0] == 0
    found = np.load(tmp_path / "out" / "exemplars.npz")
    values, _, labels = outputs(run, "conv1")
    order = np.argsort(-values.mean((1, 2))[:, [9, 2]], axis=0, kind="stable")[:2].T
    np.testing.assert_array_equal(found["indices"], order)
    classes = run.record["classes"]
    ((_, _, _, titles, _, caption, _),) = figures
    for title, row in zip(titles, order):
        assert title.splitlines()[1].split("\u00a0")[1].split(",")[0] == classes[labels[row[0]]]
    assert titles[0].startswith("channel 9: ") and titles[1].startswith("channel 2: ")
    assert "layer conv1, mean over space, test images" in caption and "with the highest" not in caption


def test_units_of_a_dense_layer(explain, run, tmp_path):
    assert explain("exemplars", "k=2", layer="logits")[0] == 0
    found, (values, *_) = np.load(tmp_path / "out" / "exemplars.npz"), outputs(run, "logits")
    np.testing.assert_array_equal(found["indices"], np.argsort(-values, axis=0, kind="stable")[:2].T)
    assert "places" not in found


def test_images_are_those_of_the_split(explain, monkeypatch, figures):
    splits, truth = [], data.Data.truth
    monkeypatch.setattr(data.Data, "truth", lambda self, split: splits.append(split) or truth(self, "test"))
    assert explain("exemplars", "channels=0", "k=1", split="train")[0] == 0
    assert splits == ["train"] and "train images" in figures[0][5]


def test_fewer_images_than_k_are_drawn_with_a_message(explain, run):
    count = run.data().info.counts["test"]
    status, output, errors = explain("exemplars", f"k={count + 1}", "channels=0")
    assert (status, errors) == (0, "")
    assert f"k={count + 1}, but the test split has only {count} images; all are drawn\n" in output


def test_a_network_without_relu_has_no_projections(explain, run, monkeypatch, figures):
    def with_silu(self):
        model = keras.saving.load_model(self.path / "model.keras", compile=False)
        for name in ("conv1", "conv2", "features"):
            model.get_layer(name).activation = keras.activations.silu
        return model

    monkeypatch.setattr(type(run), "model", with_silu)
    status, output, _ = explain("exemplars", "channels=0", "k=2")
    assert status == 0 and "exemplars without projections: " in output and "silu" in output
    assert figures[0][4] is None and "gray is 0" not in figures[0][5]


@pytest.mark.parametrize(
    "settings, layer, message",
    [
        (["channels=0,400"], None, "channel 400 does not exist; layer 'features' has channels 0 to 127"),
        (["k=0"], None, "k must be an integer >= 1 and <= 1,000,000, got 0"),
        (["reduce=median"], None, "reduce must be 'max' or 'mean', got 'median'"),
        ([], "conv9", "no layer 'conv9' in 'grid_cnn'; choices: conv1, "),
        (["color=1"], None, "exemplars has no setting 'color'; choices: channels, k, reduce"),
    ],
)
def test_errors_are_one_line(explain, settings, layer, message, files):
    status, _, errors = explain("exemplars", *settings, **({"layer": layer} if layer else {}))
    assert status == 2 and errors.startswith(f"explain.py: {message}") and errors.count("\n") == 1
    assert not files()
