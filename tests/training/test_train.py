"""Training: the run folder, the best model kept, resuming, interrupting, and a linear head on a frozen backbone."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_actmaps import Explanation
from keras_actmaps.callbacks import explain_callback
from keras_actmaps.models import zoo
from keras_actmaps.training import runs, train


def quiet(*_):
    pass


def train(tmp_path, **settings):
    given = {"epochs": 2, "limit": 64, "runs": tmp_path, "say": quiet, **settings}
    return train.train("drawn-grid", **given)


def history(run):
    with (run.path / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_holds_what_the_design_says(tmp_path):
    said = []
    run = train(tmp_path, say=said.append, seed=3)
    assert {path.name for path in run.path.iterdir()} == {
        "model.keras", "run.json", "history.csv", "metrics.json", "summary.txt", "checkpoint.keras"}  # fmt: skip
    assert run.path == tmp_path / "drawn-grid" and not list(tmp_path.glob("*.partial"))
    record = json.loads((run.path / "run.json").read_text())
    assert record["dataset"] == "drawn-grid" and record["seed"] == 3 and len(record["classes"]) == 10
    assert record["protocol"]["epochs"] == 2 and record["versions"]["keras"] == keras.__version__
    assert "stand-in" in record["notice"] and record["scale"] == 255.0
    assert "features (Conv2D)" in (run.path / "summary.txt").read_text() and "features (Conv2D)" in said[0]
    model, test = run.model(), run.data().test
    labels = np.concatenate([label for _, label in test.as_numpy_iterator()])
    accuracy = np.mean(model.predict(test, verbose=0).argmax(1) == labels)
    assert run.metrics["test_accuracy"] == pytest.approx(accuracy)
    assert f"test accuracy {accuracy:.2%} on 64 images" in said[-1]


def test_the_best_epoch_is_kept(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(runs.RunFolder, "save", lambda self, name, model: saved.append(name))
    keep = train.KeepBest(runs.RunFolder(tmp_path, "d"), [])
    (tmp_path / "d.partial").mkdir()
    for accuracy, loss in [(0.5, 1.0), (0.7, 0.9), (0.6, 0.1), (0.7, 0.9), (0.7, 0.8)]:
        keep.on_epoch_end(len(keep.history), {"val_accuracy": accuracy, "val_loss": loss})
    assert saved.count("checkpoint.keras") == 5 and saved.count("model.keras") == 3
    assert keep.best()["epoch"] == 5


def test_resuming_goes_on_where_it_stopped(tmp_path):
    first = history(train(tmp_path, epochs=1))
    both = history(train(tmp_path, epochs=3, resume=True))
    assert [float(row["epoch"]) for row in both] == [1, 2, 3]
    assert float(both[0]["loss"]) == float(first[0]["loss"])
    iterations = keras.saving.load_model(tmp_path / "drawn-grid" / "checkpoint.keras").optimizer.iterations
    assert int(iterations) == 3 * 64 // train.PROTOCOLS["drawn-grid"].batch_size
    with pytest.raises(FileNotFoundError, match="nothing to resume in"):
        train(tmp_path / "other", resume=True)


def test_an_interrupt_keeps_the_best_model_and_says_so(tmp_path, monkeypatch):
    class Stop(train.KeepBest):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "KeepBest", Stop)
    with pytest.raises(train.Interrupted, match=r"the best model so far \(epoch [12], .* is kept in .*; go on with"):
        train(tmp_path, epochs=5)
    run = runs.newest_run(tmp_path)
    assert len(history(run)) == 2 and run.model().count_params() == 93_962
    monkeypatch.undo()
    assert len(history(train(tmp_path, epochs=3, resume=True))) == 3


def test_an_early_interrupt_leaves_the_run_before_it(tmp_path, monkeypatch):
    kept = (train(tmp_path, epochs=1).path / "model.keras").read_bytes()

    class Stop(train.KeepBest):
        def on_train_batch_begin(self, batch, logs=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "KeepBest", Stop)
    with pytest.raises(train.Interrupted, match="before the first epoch was over; nothing new is kept"):
        train(tmp_path, epochs=1)
    assert (tmp_path / "drawn-grid" / "model.keras").read_bytes() == kept


def test_the_frozen_head_is_the_classifier_that_was_fitted(tmp_path):
    random = np.random.default_rng(0)
    for name, level in (("bright", 200), ("dark", 60)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(random.normal(level, 20, (32, 32, 3)), 0, 255)
            keras.utils.save_img(tmp_path / "images" / name / f"{number}.png", pixels, scale=False)
    network = zoo.backbone("squeezenet")
    weights = {f"{layer.name}/{v.name}": v.numpy() for layer in network.layers for v in layer.weights}
    np.savez(tmp_path / "weights.npz", **weights)
    run = train.train(f"folder:{tmp_path / 'images'}", backbone="squeezenet", weights=str(tmp_path / "weights.npz"),
                         runs=tmp_path / "runs", say=quiet)  # fmt: skip
    model = run.model()
    np.testing.assert_array_equal(model.get_layer("fire9_expand3x3").kernel, weights["fire9_expand3x3/kernel"])
    assert run.path == tmp_path / "runs" / "folder-images"
    assert run.metrics["test_accuracy"] == 1.0
    assert model.input_shape == (None, 227, 227, 3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": 0}, "epochs=0 trains nothing"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 trains nothing"),
        ({"backbone": "ResNet50"}, "backbone 'ResNet50' needs colour images; those of 'drawn-grid' are grey"),
        ({"limit": 0}, "limit=0 leaves no image"),
        ({"weights": "x.npz"}, "weights='x.npz' are those of a backbone, and none is named"),
    ],
)
def test_bad_settings_get_one_line(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def energies(run, method):
    """The mean share of the maps' positive part on the object, in each epoch, from the maps on disk."""
    batches = run.data().truth("validation").as_numpy_iterator()
    truth = np.concatenate([truth["position"] for _, _, truth in batches])
    for path in sorted((run.path / "explain" / method).glob("epoch-*.npz")):
        maps = np.maximum(Explanation.load(path).maps, 0).astype("float64")
        cells = maps.reshape(len(maps), 2, 28, 2, 28).sum(axis=(2, 4)).reshape(len(maps), 4)
        cells[cells.sum(axis=1) == 0] = 1  # an empty map scores the object's share of the image
        yield np.mean(cells[np.arange(len(maps)), truth[: len(maps)]] / cells.sum(axis=1))


def test_a_run_holds_what_explaining_it_meanwhile_has_found(tmp_path):
    train(tmp_path, epochs=1)
    said = []
    run = train(tmp_path, epochs=3, resume=True, callbacks=explain_callback.of_run("gradcam,saliency"), say=said.append)
    rows = history(run)
    for method in ("gradcam", "saliency"):
        names = {path.name for path in (run.path / "explain" / method).iterdir()}
        assert names == {"strip.png", "strip.gif", *(f"epoch-00{n}.{kind}" for n in (2, 3) for kind in ("png", "npz"))}
        found = [float(row[f"{method}_energy_pointing"]) for row in rows]
        assert np.isnan(found[0])
        np.testing.assert_allclose(found[1:], list(energies(run, method)), rtol=1e-5)
    again = train(tmp_path, epochs=4, resume=True)
    assert [float(row["epoch"]) for row in history(again)] == [1, 2, 3, 4]
    assert (again.path / "explain" / "gradcam" / "strip.png").is_file()


def test_an_interrupt_keeps_the_strip_of_the_epochs_so_far(tmp_path, monkeypatch):
    class Stop(train.KeepBest):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "KeepBest", Stop)
    with pytest.raises(train.Interrupted, match="is kept in"):
        train(tmp_path, epochs=5, callbacks=explain_callback.of_run("gradcam"))
    folder = runs.newest_run(tmp_path).path / "explain" / "gradcam"
    with Image.open(folder / "strip.gif") as film:
        assert film.n_frames == 2


def test_what_cannot_be_explained_meanwhile_is_said_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="no method 'nope'; there are: cam"):
        explain_callback.of_run("gradcam,nope")
    with pytest.raises(ValueError, match="a linear head is fitted on its own, and there is no fit to look at"):
        train(tmp_path, backbone="squeezenet", weights="x.npz", callbacks=explain_callback.of_run("gradcam"))
    assert not list(tmp_path.iterdir())
