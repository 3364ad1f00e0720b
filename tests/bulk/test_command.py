"""explain.py --all and --status, on files."""

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.bulk import run
from keras_actmaps.bulk.__main__ import main as bulk_main
from keras_actmaps.cli.main import explain_main


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model and inputs; the workers are this process."""
    monkeypatch.setitem(run.ENGINES, "processes", ("engine", "SerialEngine"))
    gap_network().save(tmp_path / "model.keras")
    inputs = np.random.default_rng(0).random((9, 12, 16, 3), "float32")
    np.save(tmp_path / "inputs.npy", inputs)
    return tmp_path, inputs


def command(folder, *arguments):
    model, inputs, out = (str(folder / name) for name in ("model.keras", "inputs.npy", "out"))
    return explain_main(["--model", model, "--inputs", inputs, "--output", out, "--all", *arguments])


def test_a_file_of_arrays_is_explained_into_a_folder(files, capsys):
    folder, inputs = files
    assert command(folder, "--method", "smoothgrad", "-s", "samples=2", "--target", "1") == 0
    assert "9 images explained by smoothgrad" in capsys.readouterr().out
    expected = kam.explain(gap_network(), inputs, "smoothgrad", targets=1, samples=2)
    np.testing.assert_allclose(kam.Maps(folder / "out").scores, expected.scores, rtol=1e-5)


def test_status_tells_a_finished_run_from_one_that_was_stopped(files, capsys):
    folder, _ = files
    command(folder)
    capsys.readouterr()
    assert explain_main(["--status", str(folder / "out")]) == 0
    assert capsys.readouterr().out == "gradcam: 1 of 1 shards of 1,024 images are written\nfinished\n"
    (folder / "out" / "shard-00000.h5").unlink()
    (folder / "out" / "manifest.json").unlink()
    assert bulk_main(["status", str(folder / "out")]) == 0
    assert "0 of 1 shards" in capsys.readouterr().out
    assert explain_main(["--status", str(folder)]) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--all", "--method", "gradcam,saliency"], "--all explains by one method"),
        (["--all", "--compare"], "--compare is not for --all"),
        (["--workers", "2"], "need --all"),
        (["--engine", "ray"], "need --all"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments, message, capsys):
    assert explain_main(arguments) == 2
    assert message in capsys.readouterr().err
