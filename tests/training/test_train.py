"""Training: the run folder, the best epoch, resuming, interrupting, and a linear head on a frozen backbone."""

import csv
import json

import keras
import numpy as np
import pytest

from keras_actmaps.models import backbone
from keras_actmaps.training import runs, train
from keras_actmaps.training.checkpoint import RunCheckpoint


def quiet(*_):
    pass


def train_drawn(tmp_path, **settings):
    return train.train("drawn-grid", **{"epochs": 2, "limit": 64, "runs": tmp_path, "say": quiet, **settings})


def history(run):
    with (run.path / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_of_a_run_folder(tmp_path):
    said = []
    run = train_drawn(tmp_path, say=said.append, seed=3)
    files = {"model.keras", "run.json", "history.csv", "metrics.json", "summary.txt", "checkpoint.keras"}
    assert {path.name for path in run.path.iterdir()} == files
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


def test_the_best_epoch_is_that_of_the_highest_accuracy_and_then_of_the_lowest_loss(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(runs.RunFolder, "save", lambda self, name, model: saved.append(name))
    checkpoint = RunCheckpoint(runs.RunFolder(tmp_path, "d"), [])
    (tmp_path / "d.partial").mkdir()
    for accuracy, loss in [(0.5, 1.0), (0.7, 0.9), (0.6, 0.1), (0.7, 0.9), (0.7, 0.8)]:
        checkpoint.on_epoch_end(len(checkpoint.history), {"val_accuracy": accuracy, "val_loss": loss})
    assert saved.count("checkpoint.keras") == 5 and saved.count("model.keras") == 3
    assert checkpoint.best()["epoch"] == 5


def test_resuming_continues_after_the_last_finished_epoch(tmp_path):
    first = history(train_drawn(tmp_path, epochs=1))
    both = history(train_drawn(tmp_path, epochs=3, resume=True))
    assert [float(row["epoch"]) for row in both] == [1, 2, 3]
    assert float(both[0]["loss"]) == float(first[0]["loss"])
    iterations = keras.saving.load_model(tmp_path / "drawn-grid" / "checkpoint.keras").optimizer.iterations
    assert int(iterations) == 3 * 64 // train.PROTOCOLS["drawn-grid"].batch_size
    with pytest.raises(FileNotFoundError, match="nothing to resume in"):
        train_drawn(tmp_path / "other", resume=True)


def test_an_interruption_saves_the_best_model(tmp_path, monkeypatch):
    class Stop(RunCheckpoint):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(train, "RunCheckpoint", Stop)
    with pytest.raises(
        train.Interrupted, match=r"the best model so far \(epoch [12], .* is saved in .*; continue with"
    ):
        train_drawn(tmp_path, epochs=5)
    run = runs.newest_run(tmp_path)
    assert len(history(run)) == 2 and run.model().count_params() == 93_962
    monkeypatch.undo()
    assert len(history(train_drawn(tmp_path, epochs=3, resume=True))) == 3


def test_an_interruption_of_the_first_epoch_leaves_the_earlier_run(tmp_path, monkeypatch):
    before = (train_drawn(tmp_path, epochs=1).path / "model.keras").read_bytes()

    class Stop(RunCheckpoint):
        def on_train_batch_begin(self, batch, logs=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "RunCheckpoint", Stop)
    with pytest.raises(train.Interrupted, match="before the end of the first epoch; nothing was saved"):
        train_drawn(tmp_path, epochs=1)
    assert (tmp_path / "drawn-grid" / "model.keras").read_bytes() == before


def test_the_linear_head_of_a_frozen_backbone(tmp_path):
    random = np.random.default_rng(0)
    for name, level in (("bright", 200), ("dark", 60)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(random.normal(level, 20, (32, 32, 3)), 0, 255)
            keras.utils.save_img(tmp_path / "images" / name / f"{number}.png", pixels, scale=False)
    network = backbone("squeezenet")
    weights = {f"{layer.name}/{v.name}": v.numpy() for layer in network.layers for v in layer.weights}
    np.savez(tmp_path / "weights.npz", **weights)
    run = train.train(
        f"folder:{tmp_path / 'images'}",
        backbone="squeezenet",
        weights=str(tmp_path / "weights.npz"),
        runs=tmp_path / "runs",
        say=quiet,
    )
    model = run.model()
    np.testing.assert_array_equal(model.get_layer("fire9_expand3x3").kernel, weights["fire9_expand3x3/kernel"])
    assert run.path == tmp_path / "runs" / "folder-images"
    assert run.metrics["test_accuracy"] == 1.0
    assert model.input_shape == (None, 227, 227, 3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": 0}, "epochs must be an integer >= 1 and <= 1,000,000 or None, got 0"),
        ({"epochs": 10**30}, "epochs must be an integer >= 1 and <= 1,000,000 or None, got 10"),
        ({"batch_size": 2.5}, "batch_size must be an integer >= 1 and <= 1,000,000 or None, got 2.5"),
        ({"learning_rate": -1.0}, "learning_rate must be a finite number > 0 or None, got -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number > 0 or None, got nan"),
        ({"learning_rate": "x"}, "learning_rate must be a finite number > 0 or None, got 'x'"),
        ({"seed": 2**32}, "seed must be an integer >= 0 and < 4,294,967,296, got 4294967296"),
        ({"limit": 0}, "limit must be an integer >= 1 or None, got 0"),
        ({"backbone": "nope"}, "backbone must be one of squeezenet, .*, got 'nope'"),
        ({"backbone": "ResNet50"}, "backbone 'ResNet50' needs color images, but those of 'drawn-grid' are gray"),
        ({"weights": "x.npz"}, "weights='x.npz' need a backbone"),
    ],
)
def test_bad_settings_raise_one_line_before_any_work(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        train_drawn(tmp_path, **settings)
    assert not list(tmp_path.iterdir())
