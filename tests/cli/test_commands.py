"""train.py and explain.py as a user runs them: files, exit status, one line for what can be mended."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps import Explanation, boxes
from keras_actmaps.cli import explain, main
from keras_actmaps.training import runs, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return train.train("drawn-grid", epochs=1, limit=256, runs=folder, say=lambda *_: None)


@pytest.fixture
def explain(trained, tmp_path, capsys):
    """Run explain.py's work on the trained run: (exit status, what it said, what it wrote on stderr)."""

    def run(**settings):
        given = {"run": str(trained.path), "output": str(tmp_path / "out"), "index": [0], **settings}
        status = main.run(lambda: explain.answer(**given), "explain.py")
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_gradcam_writes_the_image_the_picture_and_the_maps(explain, trained, tmp_path):
    status, said, complained = explain(method="gradcam", index=[3, 1])
    assert (status, complained) == (0, "")
    assert files(tmp_path / "out") == ["gradcam.npz", "gradcam.png", "original_image.png"]
    e = Explanation.load(tmp_path / "out" / "gradcam.npz")
    images = np.concatenate([images for images, _ in trained.data().test.as_numpy_iterator()])
    np.testing.assert_array_equal(e.targets, trained.model().predict(images[[3, 1]], verbose=0).argmax(1))
    assert "test image 3: true: " in said and "predicted: " in said and "original_image.png" in said
    assert all(cv2.imread(str(tmp_path / "out" / f"{name}.png")) is not None for name in ("gradcam", "original_image"))


def test_cam_and_all_targets_write_one_panel_a_class(explain, tmp_path):
    assert explain(method="cam", target="all")[0] == 0
    assert files(tmp_path / "out") == ["activation_map.png", "cam.npz", "cam.png", "original_image.png"]
    assert Explanation.load(tmp_path / "out" / "cam.npz").maps.shape == (1, 10, 56, 56)


@pytest.mark.parametrize("target, number", [("Sandal", 5), ("sandal", 5), ("5", 5)])
def test_a_class_by_name_or_number(explain, tmp_path, target, number):
    assert explain(method="cam", target=target, layer="features")[0] == 0
    assert Explanation.load(tmp_path / "out" / "cam.npz").targets.tolist() == [number]


@pytest.mark.parametrize("given, threshold", [("0.15", 0.15), ("otsu", "otsu")])
def test_boxes_are_drawn_and_written_as_a_table(explain, tmp_path, given, threshold):
    assert explain(method="gradcam,lrp", index=[3, 1], boxes=given)[0] == 0
    with (tmp_path / "out" / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for method in ("gradcam", "lrp"):
        e = Explanation.load(tmp_path / "out" / f"{method}.npz")
        expected = [(source, *box) for source, found in zip(("test image 3", "test image 1"), boxes(e, threshold))
                    for box in found]  # fmt: skip
        written = [row for row in rows if row["method"] == method]
        assert [(row["image"], *(float(row[key]) for key in ("y0", "x0", "y1", "x1", "score"))) for row in written] == (
            [(source, *map(float, box)) for source, *box in expected]
        )
        picture = cv2.imread(str(tmp_path / "out" / f"{method}.png"))
        magenta = (np.abs(picture.astype(int) - (255, 0, 255)) < 60).all(-1).sum()
        assert (magenta > 100) == bool(expected)
    assert len(rows) >= 2


def test_without_an_image_one_that_is_classified_correctly(explain, tmp_path, trained):
    status, said, _ = explain(index=None)
    assert status == 0
    line = next(line for line in said.splitlines() if line.startswith("test image")).partition(";")[0]
    assert line.partition("true: ")[2].partition(",")[0] == line.partition("predicted: ")[2]


def test_image_files_are_fitted_and_that_is_said(explain, tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (80, 60, 3), "uint8")
    cv2.imwrite(str(tmp_path / "photo.png"), colour)
    status, said, _ = explain(index=None, image=[str(tmp_path / "photo.png")])
    assert status == 0
    assert "photo.png: resized from 60x80 to 56x56 pixels" in said and "photo.png: turned from colour to grey" in said


def bad(tmp_path):
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "broken.keras").write_text("no model")
    (tmp_path / "file").write_text("in the way")
    flat = keras.Sequential([keras.Input((56, 56, 1)), layers.Flatten(), layers.Dense(3)])
    flat.save(tmp_path / "flat.keras")
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((56, 56), "uint8"))
    file = {"index": None, "image": [str(tmp_path / "image.png")], "run": None}
    return {
        "no method 'nope'; there are: cam, ": {"method": "nope"},
        "no class 'Hat'; there are: T-shirt/top, Trouser": {"target": "Hat"},
        "no class 10; 'grid_cnn' has the classes 0 to 9": {"target": "10"},
        "no spatial layer 'nope' in 'grid_cnn'; there are: conv1": {"layer": "nope"},
        "no run in 'absent'; there are: ": {"run": "absent"},
        "no image file 'absent.png'": {"image": ["absent.png"], "index": None},
        "text.png' is no image that can be read": {"image": [str(tmp_path / "text.png")], "index": None},
        "broken.keras' cannot be loaded as a Keras model": file | {"model": str(tmp_path / "broken.keras")},
        "no model file": file | {"model": "absent.keras"},
        "has no layer with a spatial output": file | {"model": str(tmp_path / "flat.keras"), "method": "cam"},
        "--index 400 is outside the test split, which has 256 images": {"index": [400]},
        "--index -1 is below 0": {"index": [-1]},
        "cannot write to": {"output": str(tmp_path / "file" / "out")},
        "no colour map 'x'": {"colormap": "x"},
        "--alpha 3 is outside 0 to 1": {"alpha": 3},
        "no threshold 1.5; give a fraction of the maximum, 0 to below 1, or 'otsu'": {"boxes": "1.5"},
        "no threshold 'best'; give a fraction": {"boxes": "best"},
        "-s 'steps' is not KEY=VALUE": {"settings": ["steps"]},
        "cam: no setting 'steps'; there are: none": {"settings": ["steps=3"], "method": "cam"},
        "'pool1' (MaxPooling2D) follows; gradcam works there": {"method": "cam", "layer": "conv1"},
        "give --run or --model, not both": {"model": "x.keras"},
        "give --image FILE": {"model": str(tmp_path / "flat.keras"), "run": None, "index": None},
    }


def test_bad_input_is_one_line_and_status_2(explain, tmp_path):
    for message, settings in bad(tmp_path).items():
        status, _, complained = explain(**settings)
        assert status == 2, message
        assert complained.count("\n") == 1 and complained.startswith("explain.py: "), complained
        assert message in complained
        assert not files(tmp_path / "out"), message


def test_no_space_is_one_line_and_leaves_no_half_file(explain, tmp_path, monkeypatch):
    def full(self, file, **_):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    status, _, complained = explain()
    assert status == 2 and complained == "explain.py: [Errno 28] No space left on device\n"
    assert files(tmp_path / "out") == []


def test_runs_that_are_missing_or_broken(tmp_path, trained):
    with pytest.raises(FileNotFoundError, match=r"no run yet in .*; train one with: python train.py"):
        runs.newest_run(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no run in .*nope'; there are: .*drawn-grid"):
        runs.open_run(trained.path.parent / "nope")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").touch()
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run.json' cannot be read"):
        runs.open_run(tmp_path / "run")


@pytest.mark.parametrize(
    "command, status, message",
    [
        (["train.py", "--dataset", "nope"], 2, "train.py: no data set 'nope'; there are: grid, drawn-grid"),
        (["train.py", "--dataset", "folder:absent"], 2, "train.py: no folder 'absent'"),
        (["train.py", "--dataset", "drawn-grid", "--explain", "nope"], 2, "train.py: no method 'nope'; there are: cam"),
        (["explain.py"], 2, "explain.py: no run yet in 'runs'; train one with: python train.py"),
    ],
)
def test_the_commands_say_one_line_on_stderr(tmp_path, command, status, message):
    arguments = [sys.executable, ROOT / command[0], *command[1:]]
    run = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == status
    assert run.stderr.startswith(message) and run.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_training_and_explaining_as_the_readme_says(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TFDS_DATA_DIR"}
    for command in (["train.py", "--dataset", "drawn-grid", "--epochs", "1", "--limit", "128"], ["explain.py"]):
        run = subprocess.run([sys.executable, ROOT / command[0], *command[1:]], capture_output=True, text=True,
                             cwd=tmp_path, env=environment)  # fmt: skip
        assert (run.returncode, run.stderr) == (0, "")
    assert files(tmp_path / "outputs") == ["gradcam.npz", "gradcam.png", "original_image.png"]
