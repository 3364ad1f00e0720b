"""Explanations during training, by the command line's callbacks: their files, their history, and interruptions."""

import csv

import numpy as np
import pytest
from PIL import Image

from keras_actmaps import Explanation
from keras_actmaps.callbacks import explain_callback
from keras_actmaps.cli.main import train_main
from keras_actmaps.training import runs, train
from keras_actmaps.training.checkpoint import RunCheckpoint


def quiet(*_):
    pass


def train_drawn(tmp_path, **settings):
    return train.train("drawn-grid", **{"epochs": 2, "limit": 64, "runs": tmp_path, "say": quiet, **settings})


def history(run):
    with (run.path / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def energies(run, method):
    """The mean share of the positive part of the maps on the object, by epoch, from the maps on disk."""
    batches = run.data().truth("validation").as_numpy_iterator()
    truth = np.concatenate([truth["position"] for _, _, truth in batches])
    for path in sorted((run.path / "explain" / method).glob("epoch-*.npz")):
        maps = np.maximum(Explanation.load(path).maps, 0).astype("float64")
        cells = maps.reshape(len(maps), 2, 28, 2, 28).sum(axis=(2, 4)).reshape(len(maps), 4)
        cells[cells.sum(axis=1) == 0] = 1  # an empty map scores the object's share of the image
        yield np.mean(cells[np.arange(len(maps)), truth[: len(maps)]] / cells.sum(axis=1))


def test_explanations_during_training_belong_to_the_run(tmp_path):
    train_drawn(tmp_path, epochs=1)
    run = train_drawn(tmp_path, epochs=3, resume=True, callbacks=explain_callback.of_run("gradcam,saliency"))
    rows = history(run)
    for method in ("gradcam", "saliency"):
        names = {path.name for path in (run.path / "explain" / method).iterdir()}
        assert names == {"strip.png", "strip.gif", *(f"epoch-00{n}.{kind}" for n in (2, 3) for kind in ("png", "npz"))}
        found = [float(row[f"{method}_energy_pointing"]) for row in rows]
        assert np.isnan(found[0])
        np.testing.assert_allclose(found[1:], list(energies(run, method)), rtol=1e-5)
    again = train_drawn(tmp_path, epochs=4, resume=True)
    assert [float(row["epoch"]) for row in history(again)] == [1, 2, 3, 4]
    assert (again.path / "explain" / "gradcam" / "strip.png").is_file()


def test_an_interruption_saves_the_explanations_of_the_epochs_so_far(tmp_path, monkeypatch):
    class Stop(RunCheckpoint):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(train, "RunCheckpoint", Stop)
    with pytest.raises(train.Interrupted, match="is saved in"):
        train_drawn(tmp_path, epochs=5, callbacks=explain_callback.of_run("gradcam"))
    folder = runs.newest_run(tmp_path).path / "explain" / "gradcam"
    with Image.open(folder / "strip.gif") as film:
        assert film.n_frames == 2


def test_training_that_cannot_be_explained_raises_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"method must be one of cam.*, got 'nope'"):
        explain_callback.of_run("gradcam,nope")
    with pytest.raises(ValueError, match="cannot be explained, because only a linear head is fitted"):
        train_drawn(tmp_path, backbone="squeezenet", weights="x.npz", callbacks=explain_callback.of_run("gradcam"))
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_is_explained_as_when_it_began(tmp_path, capsys):
    common = ["--dataset", "drawn-grid", "--limit", "64", "--runs", str(tmp_path)]
    assert train_main([*common, "--epochs", "1", "--explain", "gradcam"]) == 0
    assert train_main([*common, "--epochs", "2", "--resume"]) == 0
    assert "each epoch is explained by gradcam, as when the run began" in capsys.readouterr().out
    run = runs.newest_run(tmp_path)
    assert run.record["explain"] == "gradcam"
    found = [float(row["gradcam_energy_pointing"]) for row in history(run)]
    np.testing.assert_allclose(found, list(energies(run, "gradcam")), rtol=1e-5)
    assert train_main([*common, "--epochs", "3", "--resume", "--explain", "saliency"]) == 0
    run = runs.newest_run(tmp_path)
    assert run.record["explain"] == "saliency" and (run.path / "explain/saliency/epoch-003.npz").is_file()
    assert not (run.path / "explain/gradcam/epoch-003.npz").exists()
