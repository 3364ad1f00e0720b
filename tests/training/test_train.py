"""Training: the run folder, the best epoch, resuming, interrupting, and a linear head on a frozen backbone."""

import csv
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_actmaps.models import backbone
from keras_actmaps.training import checkpoint as checkpoint_module
from keras_actmaps.training import checkpoint_file, evaluation, runs, train
from keras_actmaps.training.checkpoint import RunCheckpoint
from keras_actmaps.training.checkpoint_file import Checkpoint
from keras_actmaps.training.run_folder import RunFolder


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
    written, committed = [], []
    monkeypatch.setattr(checkpoint_module, "model_bytes", lambda *_: written.append(1) or b"model")
    monkeypatch.setattr(RunFolder, "commit", lambda self, state: committed.append(state))
    checkpoint = RunCheckpoint(RunFolder(tmp_path, "d"), [])
    for accuracy, loss in [(0.5, 1.0), (0.7, 0.9), (0.6, 0.1), (0.7, 0.9), (0.7, 0.8)]:
        checkpoint.on_epoch_end(len(checkpoint.history), {"val_accuracy": accuracy, "val_loss": loss})
    assert len(committed) == 5 and len(written) == 3
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


def test_the_state_of_random_layers_is_in_the_checkpoint(tmp_path):
    keras.utils.set_random_seed(1)
    dropout = keras.layers.Dropout(0.5)
    model = keras.Sequential([keras.Input((50,)), dropout, keras.layers.Dense(1)])
    model.compile()
    images = np.ones((2, 50), "float32")
    dropout(images, training=True)
    history = [{"epoch": 1, "loss": np.pi / 3}]
    checkpoint_file.write_checkpoint(tmp_path / "c.keras", Checkpoint(model, history, b"best"))
    expected = [keras.ops.convert_to_numpy(dropout(images, training=True)) for _ in range(2)]
    state = checkpoint_file.read_checkpoint(tmp_path / "c.keras")
    assert (state.history, state.best) == (history, b"best")
    for values in expected:
        found = keras.ops.convert_to_numpy(state.model.layers[0](images, training=True))
        np.testing.assert_array_equal(found, values)
    assert not np.array_equal(*expected)


def test_an_interruption_before_training_says_what_to_do(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "started", interrupted)
    with pytest.raises(train.Interrupted, match="interrupted before training began; run the same command again"):
        train_drawn(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_keeps_its_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_fit", pytest.fail)
    folder = RunFolder(tmp_path, "drawn-grid")
    protocol = train.find_protocol("drawn-grid")
    data = {"data_dir": None, "batch_size": 32, "seed": 3, "limit": 64}
    record = {"dataset": "drawn-grid", "data": data, "protocol": vars(protocol), "weights": None, "seed": 3}
    folder.begin({**record, "classes": [], "counts": {}}, "")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile()
    folder.commit(Checkpoint(model, [{"epoch": 1, "val_accuracy": 0.5, "val_loss": 1.0}], b""))
    for settings, message in [
        ({"limit": 32}, "limit=32 is not that of the run, 64, which a resumed run keeps"),
        ({"seed": 0, "limit": None}, "seed=0 is not that of the run, 3"),
        ({"batch_size": 16}, "batch_size=16 is not that of the run, 32"),
        ({"limit": None}, "the data has changed since the run began"),
    ]:
        with pytest.raises(ValueError, match=message):
            train_drawn(tmp_path, resume=True, **settings)


def test_a_loss_that_is_not_finite_keeps_the_earlier_run(tmp_path):
    before = (train_drawn(tmp_path, epochs=1).path / "model.keras").read_bytes()
    with pytest.raises(train.Diverged, match=r"the (val_)?loss of epoch \d is (nan|inf), so nothing is saved"):
        train_drawn(tmp_path, epochs=4, learning_rate=1e30)
    assert (tmp_path / "drawn-grid" / "model.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["drawn-grid"]


def test_averages_that_have_not_settled_and_accuracy_near_chance_are_said():
    assert runs.weaknesses({"test_accuracy": 0.94, "chance": 0.62}) == []
    assert (
        runs.weaknesses({"test_accuracy": 0.94, "chance": 0.62, "moving_accuracy": 0.94, "batch_accuracy": 0.93}) == []
    )
    (near,) = runs.weaknesses({"test_accuracy": 0.58, "chance": 0.62})
    assert near.startswith("the test accuracy, 58.0%, is near chance (62.0% of the test images")
    (averages,) = runs.weaknesses(
        {"test_accuracy": 0.94, "chance": 0.62, "moving_accuracy": 0.58, "batch_accuracy": 0.9}
    )
    assert averages.startswith("the accuracy is 58.0% with the moving averages of batch normalization but 90.0%")


def test_the_accuracy_with_both_statistics(tmp_path):
    """A network that sees the sign of its normalized input: with moving averages that are off, always the same one."""
    images = keras.Input((56, 56, 1))
    norm = keras.layers.BatchNormalization(scale=False, center=False)
    x = keras.layers.GlobalAveragePooling2D()(norm(images))
    model = keras.Model(images, keras.layers.Dense(10)(x))
    loaded = train.datasets.load("drawn-grid", limit=40)
    norm.set_weights([np.array([50.0]), np.array([1.0])])
    model.layers[-1].set_weights([np.eye(10)[:1] * 100, np.eye(10)[1]])  # class 0 if positive, class 1 otherwise
    contents = checkpoint_file.model_bytes(model, tmp_path)
    metrics = evaluation.evaluate(contents, tmp_path, loaded)
    pixels = np.concatenate([pixels for pixels, _ in loaded.test.as_numpy_iterator()])
    labels = np.concatenate([labels for _, labels in loaded.test.as_numpy_iterator()])
    means = pixels.mean((1, 2, 3))
    predicted = np.where(100 * (means - means.mean()) / np.sqrt(pixels.var() + 1e-3) > 1, 0, 1)
    assert metrics["moving_accuracy"] == pytest.approx((labels == 1).mean())
    assert metrics["test_accuracy"] == pytest.approx(metrics["moving_accuracy"])
    assert metrics["batch_accuracy"] == pytest.approx((predicted == labels).mean())
    assert metrics["chance"] == np.bincount(labels).max() / 40
    assert not list(tmp_path.iterdir())


def test_the_momentum_of_batch_normalization_follows_the_number_of_steps():
    for images, momentum in ((900, 1 - 3 / 29), (50, 0.7), (47_500, 0.99)):
        info = SimpleNamespace(
            vocabulary=(), image_shape=(16, 16, 3), classes=("a", "b"), counts={"train": images}, scale=255.0
        )
        model = train.new_model(train.find_protocol("folder"), None, SimpleNamespace(info=info))
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert [norm.momentum for norm in norms] == [pytest.approx(momentum)] * 4


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
        ({"seed": 2**32}, "seed must be an integer >= 0 and < 4,294,967,296 or None, got 4294967296"),
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
