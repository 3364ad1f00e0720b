"""The figure of gradient ascent: numbers against the model's own, the picture, the film, and errors in one line."""

import keras
import numpy as np
import pytest

from keras_actmaps.cli.figures import ascent


def real_images(run):
    return np.concatenate([images for images, _ in run.data().test.as_numpy_iterator()])


def softmax(logits):
    return np.exp(logits - logits.max(1, keepdims=True)) / np.exp(logits - logits.max(1, keepdims=True)).sum(1)[:, None]


def test_all_classes_have_a_higher_score_than_any_real_image(explain, run, tmp_path, files):
    status, output, errors = explain("ascent")
    assert (status, errors) == (0, "")
    assert files() == ["ascent.npz", "ascent.png"]
    found, model, images = np.load(tmp_path / "out" / "ascent.npz"), run.model(), real_images(run)
    logits = model.predict(found["images"], verbose=0)
    np.testing.assert_allclose(found["scores"], np.diag(logits), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["probabilities"], np.diag(softmax(logits)), rtol=1e-4)
    highest = model.predict(images, verbose=0)
    np.testing.assert_array_equal(found["best_real_indices"], highest.argmax(axis=0))
    np.testing.assert_allclose(found["best_real_scores"], highest.max(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found["best_real_images"], images[highest.argmax(axis=0)])
    assert found["names"].tolist() == run.record["classes"]
    assert (found["scores"] > found["best_real_scores"]).all()
    assert f"ascent of {found['names'][0]}: logit {found['scores'][0]:.1f}" in output


def test_one_class(explain, run, tmp_path):
    assert explain("ascent", "steps=4", target=3)[0] == 0
    found = np.load(tmp_path / "out" / "ascent.npz")
    assert found["names"].tolist() == [run.record["classes"][3]] and found["images"].shape == (1, 56, 56, 1)


def test_channels_and_a_neuron(explain, run, tmp_path):
    model = run.model()
    features = keras.Model(model.inputs, model.get_layer("features").output)
    assert explain("ascent", "steps=4", "channels=100,5", layer="features")[0] == 0
    found = np.load(tmp_path / "out" / "ascent.npz")
    maps = features.predict(found["images"], verbose=0)
    np.testing.assert_allclose(found["scores"], [maps[0, ..., 100].mean(), maps[1, ..., 5].mean()], rtol=1e-4)
    best = features.predict(real_images(run), verbose=0).mean(axis=(1, 2)).argmax(axis=0)
    assert found["best_real_indices"].tolist() == best[[100, 5]].tolist()
    assert explain("ascent", "steps=4", "neuron=3,4,17", layer="features")[0] == 0
    found = np.load(tmp_path / "out" / "ascent.npz")
    maps = features.predict(found["images"], verbose=0)
    np.testing.assert_allclose(found["scores"], maps[:, 3, 4, 17], rtol=1e-4, atol=1e-5)
    assert found["names"].tolist() == ["neuron 3, 4, 17"] and "probabilities" not in found


def test_ascent_from_an_image(explain, run, tmp_path):
    assert explain("ascent", "start=image", "steps=1", "rate=0.001", target=0, index=2)[0] == 0
    image = np.load(tmp_path / "out" / "ascent.npz")["images"]
    np.testing.assert_allclose(image, real_images(run)[[2]], atol=0.02)


def test_settings_reach_the_ascent(explain, tmp_path):
    assert explain("ascent", "ground=0.8", "noise=0", "steps=1", "rate=0.001", target=0)[0] == 0
    np.testing.assert_allclose(np.load(tmp_path / "out" / "ascent.npz")["images"], 0.8, atol=0.01)


def test_a_film(explain, files):
    status, output, _ = explain("ascent", "film=gif", "steps=6", "frames=3", target=0)
    assert status == 0 and "ascent.gif" in output
    assert files() == ["ascent.gif", "ascent.npz", "ascent.png"]


@pytest.mark.parametrize(
    "settings, layer, line",
    [
        (["film=avi"], None, "film must be 'gif', 'mp4' or None, got 'avi'"),
        (["start=picture"], None, "start must be 'noise' or 'image', got 'picture'"),
        (["frames=0"], None, "frames must be an integer >= 1 and <= 1,000,000, got 0"),
        (["steps=0"], None, "steps must be an integer >= 1 and <= 1,000,000, got 0"),
        (["channels=3"], None, "channels and neuron need a layer; pass --layer"),
        (["channels=128"], "features", "channel 128 does not exist; layer 'features' has channels 0 to 127"),
        (["channels=-1"], "features", "channels must be an integer >= 0"),
        (["neuron=14,0,0"], "features", "neuron (14, 0, 0) does not exist; the features of layer 'features' are"),
        (["neuron=1,2"], "features", "neuron must be (an integer, an integer, an integer), "),
        ([], "conv9", "no spatial layer 'conv9'"),
        (["rate=-1"], None, "rate must be a finite number >= 0 and <= 1,000,000, got -1"),
        (["ground=2"], None, "ground must be within bounds=(0.0, 1.0), got 2"),
        (["bounds=0,1"], None, "ascent has no setting 'bounds'"),
    ],
)
def test_errors_are_one_line_on_stderr_before_any_work(explain, settings, layer, line, monkeypatch, files):
    monkeypatch.setattr(ascent, "top_images", lambda *_, **__: pytest.fail("the data was read"))
    status, _, errors = explain("ascent", *settings, **({"layer": layer} if layer else {}))
    assert status == 2 and line in errors and errors.count("\n") == 1
    assert not files()
