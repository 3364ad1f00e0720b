"""Training that is killed at any of its file operations, or by the system, continues to the same model."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_actmaps import models
from keras_actmaps.training import runs, train
from keras_actmaps.training.checkpoint_file import read_checkpoint

ROOT = Path(__file__).parents[2]
FILES = ["checkpoint.keras", "history.csv", "metrics.json", "model.keras", "run.json", "summary.txt"]


class Killed(BaseException):
    """The process has been killed: this file operation, and all after it, do not happen."""


class Operations:
    """Counts the operations that change files in a folder, and kills the process at one of them."""

    def __init__(self):
        self.folder, self.count, self.last = None, 0, None
        sys.addaudithook(self.see)

    def see(self, event, arguments):
        if self.folder is None or not self._changes(event, arguments):
            return
        self.count += 1
        if self.last is not None and self.count > self.last:
            raise Killed

    def _changes(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            return flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(self.folder)
        if event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}:
            is_relative = arguments[-1] >= 0  # to the descriptor of a folder, as in shutil.rmtree
            return is_relative or str(arguments[0]).startswith(self.folder)
        return False

    def killed_at(self, last, folder, work):
        """Whether `work` was killed at operation `last`; None lets it finish and counts."""
        self.folder, self.count, self.last = str(folder), 0, last
        try:
            work()
        except Killed:
            return True
        finally:
            self.folder = None
        return False


OPERATIONS = Operations()


def quiet(*_):
    pass


@pytest.fixture
def small(monkeypatch):
    """A tiny model, and an optimizer that gets random gradients, which depend on the weights and the epoch."""

    def build(image_shape, classes):
        return keras.Sequential(
            [keras.Input(image_shape), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        )

    def fit(setup, checkpoint, observers):
        checkpoint.set_model(setup.model)
        for epoch in range(len(checkpoint.history), setup.protocol.epochs):
            random = np.random.default_rng(epoch)
            variables = setup.model.trainable_variables
            gradients = [variable * 1.5 + random.normal(size=variable.shape) for variable in variables]
            setup.model.optimizer.apply(gradients, variables)
            accuracy = (0.7, 0.6)[epoch]
            checkpoint.on_epoch_end(epoch, {"loss": 1 / (epoch + 3), "val_loss": 0.1, "val_accuracy": accuracy})

    monkeypatch.setitem(models.MODELS, "grid_cnn", build)
    monkeypatch.setattr(train, "_fit", fit)
    monkeypatch.setattr(train, "evaluate", lambda *_: {"test_accuracy": 0.9, "test_loss": 0.1, "chance": 0.1})


def work(folder, **settings):
    train.train("drawn-grid", **{"epochs": 2, "limit": 8, "runs": folder, "say": quiet, **settings})


def result(folder):
    """All that a finished run consists of; nothing else is in the folder."""
    assert [path.name for path in folder.iterdir()] == ["drawn-grid"]
    assert sorted(path.name for path in (folder / "drawn-grid").iterdir()) == FILES
    state = read_checkpoint(folder / "drawn-grid" / "checkpoint.keras")
    weights = [*state.model.weights, *state.model.optimizer.variables, *runs.newest_run(folder).model().weights]
    history = (folder / "drawn-grid" / "history.csv").read_bytes()
    return [np.asarray(keras.ops.convert_to_numpy(weight)).tobytes() for weight in weights], history


def explains_or_advises(folder):
    """A model can be loaded, or the message says what then works; returns whether it can be resumed."""
    try:
        runs.newest_run(folder).model()
        return None
    except FileNotFoundError as error:
        assert str(error).endswith(("; train one with: python train.py", " --resume")), str(error)
        return str(error).endswith(" --resume")


def finish(folder):
    """What a user does after a kill."""
    try:
        work(folder, resume=True, epochs=None)
    except FileNotFoundError as error:
        assert "nothing to resume" in str(error) and "--resume" not in str(error)
        work(folder)
        return False
    return True


def test_a_new_run_killed_at_any_file_operation(small, tmp_path):
    assert not OPERATIONS.killed_at(None, tmp_path / "whole", lambda: work(tmp_path / "whole"))
    count, expected = OPERATIONS.count, result(tmp_path / "whole")
    assert count > 25
    resumed = 0
    for last in range(count):
        folder = tmp_path / str(last)
        assert OPERATIONS.killed_at(last, folder, partial(work, folder))
        can_resume = explains_or_advises(folder)
        did_resume = finish(folder)
        assert can_resume is None or can_resume == did_resume
        assert result(folder) == expected, last
        resumed += did_resume
    assert count / 3 < resumed < count


def test_a_run_that_replaces_another_killed_at_any_file_operation(small, tmp_path):
    """There is always a model to explain, and what is resumed is the new run, or the earlier if that had no epoch."""
    work(tmp_path / "first", epochs=1)
    earlier = result(tmp_path / "first")
    work(tmp_path / "first")
    expected = result(tmp_path / "first")
    assert not OPERATIONS.killed_at(None, tmp_path / "first", lambda: work(tmp_path / "first"))
    for last in {*range(0, OPERATIONS.count, 5), *range(OPERATIONS.count - 20, OPERATIONS.count)}:  # the end replaces
        folder = tmp_path / str(last)
        work(folder, epochs=1)
        assert OPERATIONS.killed_at(last, folder, partial(work, folder))
        assert explains_or_advises(folder) is None
        assert finish(folder)
        assert result(folder) in (expected, earlier)


def test_resuming_killed_at_any_file_operation_can_be_resumed(small, tmp_path):
    whole = tmp_path / "whole"
    work(whole, epochs=1)
    assert not OPERATIONS.killed_at(None, whole, lambda: work(whole, resume=True))
    expected = result(whole)
    for last in {*range(20), *range(0, OPERATIONS.count, 5)}:  # the beginning copies the run
        folder = tmp_path / str(last)
        work(folder, epochs=1)
        assert OPERATIONS.killed_at(last, folder, partial(work, folder, resume=True))
        assert explains_or_advises(folder) is None
        work(folder, resume=True)
        assert result(folder) == expected


TRAINING = """
import sys, time
from keras_actmaps.training import train, checkpoint
class Slow(checkpoint.RunCheckpoint):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        print("finished", flush=True)
        time.sleep(1000)
train.RunCheckpoint = Slow
train.train("drawn-grid", epochs=2, limit=48, runs=sys.argv[1], seed=5)
"""


def test_kill_9_in_another_process_gives_the_same_model(tmp_path):
    command = [sys.executable, "-c", TRAINING, str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while "finished" not in process.stdout.readline():
        assert process.poll() is None
    with pytest.raises(BlockingIOError, match=r"another training is writing .*drawn-grid'"):
        work(tmp_path / "killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    work(tmp_path / "killed", resume=True, epochs=None, limit=None)
    work(tmp_path / "whole", limit=48, seed=5)
    assert result(tmp_path / "killed") == result(tmp_path / "whole")
