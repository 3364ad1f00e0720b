"""Gradient ascent by explain.py: numbers against the model's own, the picture, the film, one line for bad input."""

import importlib

import keras
import numpy as np
import pytest

from keras_actmaps.cli import explain, main


@pytest.fixture
def explain(run, tmp_path, capsys):
    """explain.py's work on the run: (exit status, what it said, what it wrote on stderr, the folder)."""

    def answer(**settings):
        given = {"run": str(run.path), "output": str(tmp_path / "out"), "method": "ascent", **settings}
        status = main.run(lambda: explain.answer(**given), "explain.py")
        said = capsys.readouterr()
        return status, said.out, said.err, tmp_path / "out"

    return answer


def real(run):
    return np.concatenate([images for images, _ in run.data().test.as_numpy_iterator()])


def softmax(logits):
    return np.exp(logits - logits.max(1, keepdims=True)) / np.exp(logits - logits.max(1, keepdims=True)).sum(1)[:, None]


def test_all_classes_score_their_image_above_any_real_one(explain, run):
    status, said, complained, folder = explain()
    assert (status, complained) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == ["ascent.npz", "ascent.png"]
    found, model, images = np.load(folder / "ascent.npz"), run.model(), real(run)
    logits = model.predict(found["images"], verbose=0)
    np.testing.assert_allclose(found["scores"], np.diag(logits), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["probabilities"], np.diag(softmax(logits)), rtol=1e-4)
    highest = model.predict(images, verbose=0)
    np.testing.assert_array_equal(found["best_real_indices"], highest.argmax(axis=0))
    np.testing.assert_allclose(found["best_real_scores"], highest.max(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found["best_real_images"], images[highest.argmax(axis=0)])
    assert found["names"].tolist() == run.record["classes"]
    assert (found["scores"] > found["best_real_scores"]).all()
    assert f"ascent of {found['names'][0]}: logit {found['scores'][0]:.1f}" in said


def test_one_class_channels_and_a_neuron(explain, run):
    _, _, _, folder = explain(target="3", settings=["steps=4"])
    found = np.load(folder / "ascent.npz")
    assert found["names"].tolist() == [run.record["classes"][3]] and found["images"].shape == (1, 56, 56, 1)
    model = run.model()
    features = keras.Model(model.inputs, model.get_layer("features").output)
    assert explain(layer="features", settings=["steps=4", "channels=100,5"])[0] == 0
    found = np.load(folder / "ascent.npz")
    seen = features.predict(found["images"], verbose=0)
    np.testing.assert_allclose(found["scores"], [seen[0, ..., 100].mean(), seen[1, ..., 5].mean()], rtol=1e-4)
    best = features.predict(real(run), verbose=0).mean(axis=(1, 2)).argmax(axis=0)
    assert found["best_real_indices"].tolist() == best[[100, 5]].tolist()
    assert explain(layer="features", settings=["steps=4", "neuron=3,4,17"])[0] == 0
    found = np.load(folder / "ascent.npz")
    seen = features.predict(found["images"], verbose=0)
    np.testing.assert_allclose(found["scores"], seen[:, 3, 4, 17], rtol=1e-4, atol=1e-5)
    assert found["names"].tolist() == ["neuron 3, 4, 17"] and "probabilities" not in found


def test_from_an_image(explain, run):
    _, _, _, folder = explain(target="0", index=[2], settings=["start=image", "steps=1", "rate=0.001"])
    image = np.load(folder / "ascent.npz")["images"]
    np.testing.assert_allclose(image, real(run)[[2]], atol=0.02)


def test_a_film(explain):
    status, said, _, folder = explain(target="0", settings=["film=gif", "steps=6", "frames=3"])
    assert status == 0 and "ascent.gif" in said
    assert sorted(path.name for path in folder.iterdir()) == ["ascent.gif", "ascent.npz", "ascent.png"]


@pytest.mark.parametrize(
    "given, line",
    [
        ({"settings": ["film=avi"]}, "no film 'avi'; there are: gif, mp4"),
        ({"settings": ["start=picture"]}, "no start 'picture'; there are: noise, image"),
        ({"settings": ["frames=0"]}, "frames=0 is no number of frames"),
        ({"settings": ["steps=0"]}, "steps=0 is no number of steps"),
        ({"settings": ["channels=3"]}, "channels and neurons are those of a layer; give --layer"),
        ({"settings": ["channels=128"], "layer": "features"}, "no channel 128; layer 'features' has the channels 0 to"),
        ({"settings": ["neuron=14,0,0"], "layer": "features"}, "no neuron (14, 0, 0); layer 'features' gives"),
        ({"settings": ["neuron=1,2"], "layer": "features"}, "are no units"),
        ({"layer": "conv9"}, "no spatial layer 'conv9'"),
        ({"settings": ["rate=-1"]}, "rate=-1 is below 0"),
    ],
)  # fmt: skip
def test_what_there_is_not_is_one_line_on_stderr_before_any_work(explain, given, line, monkeypatch):
    module = importlib.import_module("keras_actmaps.looks.ascent")
    monkeypatch.setattr(module, "best_images", lambda *_, **__: pytest.fail("the data was read"))
    status, _, complained, folder = explain(**given)
    assert status == 2 and line in complained and complained.count("\n") == 1
    assert not list(folder.iterdir())
