"""The commands as a user runs them: files, exit status, and one line on stderr for what the user can correct."""

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
from keras_actmaps.cli.inputs import images_from_files
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.subject import find_subject
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.training import runs, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return train.train("drawn-grid", epochs=1, limit=256, runs=folder, say=lambda *_: None)


@pytest.fixture
def explain(trained, tmp_path, explain_command):
    """The command explain on the trained run, writing to tmp_path / "out"."""
    return lambda *arguments: explain_command("--run", trained.path, "--output", tmp_path / "out", *arguments)


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_gradcam_writes_the_images_the_picture_and_the_maps(explain, trained, tmp_path):
    status, stdout, stderr = explain("--method", "gradcam", "--index", 3, 1)
    assert (status, stderr) == (0, "")
    assert files(tmp_path / "out") == ["gradcam.npz", "gradcam.png", "original_image.png"]
    e = Explanation.load(tmp_path / "out" / "gradcam.npz")
    images = np.concatenate([images for images, _ in trained.data().test.as_numpy_iterator()])
    np.testing.assert_array_equal(e.targets, trained.model().predict(images[[3, 1]], verbose=0).argmax(1))
    assert "test image 3: true: " in stdout and "predicted: " in stdout and "original_image.png" in stdout
    assert all(cv2.imread(str(tmp_path / "out" / f"{name}.png")) is not None for name in ("gradcam", "original_image"))


def test_cam_and_all_targets_write_one_panel_per_class(explain, tmp_path):
    assert explain("--method", "cam", "--target", "all", "--index", 0).status == 0
    assert files(tmp_path / "out") == ["activation_map.png", "cam.npz", "cam.png", "original_image.png"]
    assert Explanation.load(tmp_path / "out" / "cam.npz").maps.shape == (1, 10, 56, 56)


@pytest.mark.parametrize("target, number", [("Sandal", 5), ("sandal", 5), ("5", 5)])
def test_a_class_by_name_or_number(explain, tmp_path, target, number):
    assert explain("--method", "cam", "--target", target, "--layer", "features", "--index", 0).status == 0
    assert Explanation.load(tmp_path / "out" / "cam.npz").targets.tolist() == [number]


@pytest.mark.parametrize("target", ["Sandal-T-shirt/top", "5-0", "sandal-0"])
def test_the_difference_of_two_classes(explain, tmp_path, trained, target):
    result = explain("--method", "gradient_x_input", "--target", target, "--index", 0, "--boxes")
    assert result.status == 0 and "Sandal rather than T-shirt/top" in result.stdout
    e = Explanation.load(tmp_path / "out" / "gradient_x_input.npz")
    assert e.targets is None and e.target_name == "Difference(5, 0)"
    parts = []
    for name in ("Sandal", "T-shirt/top"):
        assert explain("--method", "gradient_x_input", "--target", name, "--index", 0).status == 0
        parts.append(Explanation.load(tmp_path / "out" / "gradient_x_input.npz"))
    np.testing.assert_allclose(e.maps, parts[0].maps - parts[1].maps, atol=1e-5)
    np.testing.assert_allclose(e.scores, parts[0].scores - parts[1].scores, rtol=1e-4)
    assert "Sandal rather than T-shirt/top" in (tmp_path / "out" / "boxes.csv").read_text()


@pytest.mark.parametrize("layer, path", [("conv2", "conv2"), ("1", "conv1"), ("-4", "pool2")])
def test_a_layer_by_name_or_number(explain, tmp_path, layer, path):
    assert explain("--layer", layer, "--index", 0).status == 0
    assert Explanation.load(tmp_path / "out" / "gradcam.npz").layer == path


def test_a_setting_goes_to_every_method_that_has_it(explain, tmp_path):
    assert (
        explain("--method", "gradcam,lrp,saliency", "--index", 0, "-s", "channels=abs_max", "-s", "rule=gamma")[0] == 0
    )
    settings = {name: Explanation.load(tmp_path / "out" / f"{name}.npz").settings for name in ("lrp", "saliency")}
    assert (settings["lrp"]["channels"], settings["lrp"]["rule"]) == ("abs_max", "gamma")
    assert settings["saliency"] == {"channels": "abs_max"}
    assert Explanation.load(tmp_path / "out" / "gradcam.npz").settings == {}


@pytest.mark.parametrize("option, threshold", [("0.15", 0.15), ("otsu", "otsu")])
def test_boxes_are_drawn_and_written_as_a_table(explain, tmp_path, option, threshold):
    assert explain("--method", "gradcam,lrp", "--index", 3, 1, "--boxes", option).status == 0
    with (tmp_path / "out" / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for method in ("gradcam", "lrp"):
        e = Explanation.load(tmp_path / "out" / f"{method}.npz")
        expected = [
            (source, *box)
            for source, found in zip(("test image 3", "test image 1"), boxes(e, threshold))
            for box in found
        ]
        written = [row for row in rows if row["method"] == method]
        assert [(row["image"], *(float(row[key]) for key in ("y0", "x0", "y1", "x1", "score"))) for row in written] == (
            [(source, *map(float, box)) for source, *box in expected]
        )
        picture = cv2.imread(str(tmp_path / "out" / f"{method}.png"))
        magenta = (np.abs(picture.astype(int) - (255, 0, 255)) < 60).all(-1).sum()
        assert (magenta > 100) == bool(expected)
    assert len(rows) >= 2


def test_without_an_image_one_that_is_classified_correctly(explain):
    status, stdout, _ = explain()
    assert status == 0
    line = next(line for line in stdout.splitlines() if line.startswith("test image")).partition(";")[0]
    assert line.partition("true: ")[2].partition(",")[0] == line.partition("predicted: ")[2]


def test_image_files_are_resized_and_converted_and_that_is_said(explain, tmp_path):
    color = np.random.default_rng(0).integers(0, 256, (80, 60, 3), "uint8")
    cv2.imwrite(str(tmp_path / "photo.png"), color)
    status, stdout, _ = explain("--image", tmp_path / "photo.png")
    assert status == 0
    assert "photo.png: resized from 60x80 to a shorter side of 56 pixels, and its center cropped" in stdout
    assert "photo.png: converted from color to gray" in stdout


def test_an_image_file_is_fitted_as_in_training(explain, tmp_path):
    """The center of a photograph is explained: its ends do not matter, unlike where the whole of it is squeezed."""
    picture = np.random.default_rng(0).integers(0, 256, (56, 90), "uint8")
    for name, ends in (("a", 0), ("b", 255)):
        picture[:, :17] = picture[:, 73:] = ends
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    cv2.imwrite(str(tmp_path / "center.png"), picture[:, 17:73])
    maps = []
    for name in ("a", "b", "center"):
        assert explain("--image", tmp_path / f"{name}.png", "--method", "saliency").status == 0
        maps.append(Explanation.load(tmp_path / "out" / "saliency.npz").maps)
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])


def test_all_methods_and_their_contact_sheet(explain, tmp_path):
    fast = ["-s", "samples=4", "-s", "steps=2", "-s", "channels=sum", "-s", "k=2"]
    status, stdout, stderr = explain("--method", "all", "--index", 0, *fast)
    assert (status, stderr) == (0, "")
    assert "all.png" in files(tmp_path / "out") and "lrp.npz" in files(tmp_path / "out")
    assert "squaregrad.npz" in files(tmp_path / "out")
    assert "feature_maps does not fit: channels must be an integer >= 1" in stdout


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A run on a folder of photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(40):
        path = folder / "images" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(number).integers(0, 100 + 50 * (number % 2), (40, 32, 3), "uint8")
        cv2.imwrite(str(path), picture)
    dataset = f"folder:{folder / 'images'}"
    return train.train(dataset, epochs=1, limit=16, runs=folder / "runs", say=lambda *_: None)


def test_an_image_of_the_data_set_given_as_a_file_has_the_pixels_of_the_pipeline(photographs):
    subject = find_subject(ExplainOptions(run=str(photographs.path)), lambda *_: None)
    images, _ = next(photographs.data().test.as_numpy_iterator())
    paths = sorted(Path(photographs.record["dataset"].removeprefix("folder:")).rglob("*.png"))
    found = images_from_files(subject, TracedModel(subject.model), list(map(str, paths)), lambda *_: None).arrays
    for image in images:
        assert (found == image).all((1, 2, 3)).sum() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--method", "exemplars", "--layer", "logits"],
        ["--method", "ascent", "-s", "steps=1"],
        ["--method", "saliency", "--index", "0"],
        ["--compare", "--method", "saliency,gradcam", "--limit", "2"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_an_image_that_was_damaged_after_training_is_named(photographs, explain_command, tmp_path, arguments):
    damaged = sorted(Path(photographs.record["dataset"].removeprefix("folder:")).rglob("*.png"))
    whole = {path: path.read_bytes() for path in damaged}
    try:
        for path, contents in whole.items():
            path.write_bytes(contents[: len(contents) // 2])
        output = tmp_path / "out"
        status, _, stderr = explain_command("--run", photographs.path, "--output", output, *arguments)
    finally:
        for path, contents in whole.items():
            path.write_bytes(contents)
    assert status == 2
    assert stderr.count("\n") == 1 and ".png' is damaged: " in stderr, stderr
    assert files(output) == []


def bad(tmp_path):
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "broken.keras").write_text("no model")
    (tmp_path / "file").write_text("in the way")
    flat = keras.Sequential([keras.Input((56, 56, 1)), layers.Flatten(), layers.Dense(3)])
    flat.save(tmp_path / "flat.keras")
    keras.Sequential([keras.Input((4,)), layers.Dense(3)]).save(tmp_path / "table.keras")
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((56, 56), "uint8"))
    table = tmp_path / "table.keras"
    image, run = ["--image", tmp_path / "image.png"], ["--index", 0]
    return [
        ([*run, "--method", "nope"], "no method 'nope'; choices: cam, "),
        ([*run, "--method", "gradcam,"], "no method ''; choices: cam, "),
        ([*run, "--target", "Hat"], "no class 'Hat'; choices: T-shirt/top, Trouser"),
        ([*run, "--target", "Sandal-Hat"], "no class 'Sandal-Hat'; choices: T-shirt/top, Trouser"),
        ([*run, "--target", "3-10"], "class 10 does not exist; 'grid_cnn' has classes 0 to 9"),
        ([*run, "--target", "10"], "class 10 does not exist; 'grid_cnn' has classes 0 to 9"),
        ([*run, "--target", "-1"], "class -1 does not exist; 'grid_cnn' has classes 0 to 9"),
        ([*run, "--target", "9" * 30], "does not exist; 'grid_cnn' has classes 0 to 9"),
        ([*run, "--target", "9" * 6000], "no class '999"),
        ([*run, "--target", ""], "argument --target: must not be empty"),
        ([*run, "--layer", "nope"], "no spatial layer 'nope' in 'grid_cnn'; choices: conv1"),
        ([*run, "--layer", "99"], "no layer 99 in 'grid_cnn'; it has 8 layers"),
        ([*run, "--layer", ""], "argument --layer: must not be empty"),
        (["--image", "absent.png"], "no image file 'absent.png'"),
        (["--image", tmp_path / "text.png"], "text.png'"),
        (["--image", tmp_path], "no image file"),
        (["--index", 400], "--index 400 is outside the test split, which has 256 images"),
        (["--index", -1], "argument --index: must be an integer >= 0, got '-1'"),
        (["--index", "x"], "argument --index: must be an integer >= 0, got 'x'"),
        (["--index"], "argument --index: expected at least one argument"),
        ([*run, "--output", tmp_path / "file" / "out"], "cannot write to"),
        ([*run, "--output", "a\0b"], "cannot write to 'a\\x00b'"),
        ([*run, "--colormap", "x"], "'x'"),
        ([*run, "--alpha", 3], "argument --alpha: must be 'map' or a finite number >= 0 and <= 1, got '3'"),
        ([*run, "--alpha", "nan"], "argument --alpha: must be 'map' or a finite number >= 0 and <= 1, got 'nan'"),
        ([*run, "--boxes", 1.5], "argument --boxes: must be 'otsu' or a finite number >= 0 and < 1, got '1.5'"),
        ([*run, "--boxes", "best"], "argument --boxes: must be 'otsu' or a finite number >= 0 and < 1, got 'best'"),
        ([*run, "-s", "steps"], "-s 'steps' is not KEY=VALUE"),
        ([*run, "-s", "steps=3", "--method", "cam"], "cam has no setting 'steps'; choices: none"),
        ([*run, "-s", "rule=3", "--method", "lrp,cam"], "rule must be '0', 'epsilon', "),
        ([*run, "-s", "channels=keep", "--method", "lrp"], "-s channels=keep: the maps of lrp could not be drawn"),
        ([*run, "-s", "rule=9", "--method", "all"], "rule must be '0', 'epsilon', "),
        ([*run, "--method", "cam", "--layer", "conv1"], "'pool1' (MaxPooling2D) follows"),
        ([*run, "--model", "x.keras"], "argument --model: not allowed with argument --run"),
        ([*run, *image], "argument --image: not allowed with argument --index"),
        ([*run, "--limit", 3, "--compare"], "argument --limit: not allowed with argument --index"),
        (["--limit", 3], "--metrics needs --compare, and --limit needs --compare or --all"),
        (["--limit", 0], "argument --limit: must be an integer >= 1 and <= 1,000,000, got '0'"),
        (["--nope"], "unrecognized arguments: --nope"),
        (["--split", "nope"], "argument --split: invalid choice: 'nope'"),
        (["nope"], "unrecognized arguments: nope"),
    ], [
        (["--run", "absent"], "no run in 'absent'; existing runs: "),
        (["--run", ""], "argument --run: must not be empty"),
        ([*image, "--model", tmp_path / "broken.keras"], "broken.keras' cannot be loaded as a Keras model"),
        ([*image, "--model", tmp_path], "no model file"),
        ([*image, "--model", tmp_path / "absent.keras"], "no model file"),
        ([*image, "--model", "nope"], "backbone must be one of squeezenet, "),
        ([*image, "--model", tmp_path / "flat.keras", "--method", "cam"], "has no layer with a spatial output"),
        ([*image, "--model", table, "--method", "lrp"], "takes (None, 4), not images"),
        (["--model", tmp_path / "flat.keras"], "pass --image FILE"),
    ]


def test_what_cannot_be_done_is_one_line_and_status_2(explain, explain_command, tmp_path):
    of_run, of_model = bad(tmp_path)
    commands = [(explain, *row) for row in of_run]
    commands += [(explain_command, [*row, "--output", tmp_path / "out"], message) for row, message in of_model]
    for command, arguments, message in commands:
        status, _, stderr = command(*arguments)
        assert status == 2, message
        assert stderr.count("\n") == 1 and stderr.startswith("explain.py: "), stderr
        assert message in stderr
        assert not files(tmp_path / "out"), message


def test_a_full_disk_is_one_line_and_leaves_no_partial_file(explain, tmp_path, monkeypatch):
    def full(self, file, **_):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    status, _, stderr = explain()
    assert status == 2 and stderr == "explain.py: [Errno 28] No space left on device\n"
    assert files(tmp_path / "out") == []


def test_runs_that_are_missing_or_broken(tmp_path, trained):
    with pytest.raises(FileNotFoundError, match=r"no run yet in .*; train one with: python train.py"):
        runs.newest_run(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no run in .*nope'; existing runs: .*drawn-grid"):
        runs.open_run(trained.path.parent / "nope")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").touch()
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run.json' cannot be read"):
        runs.open_run(tmp_path / "run")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--dataset", "nope"],
            "data set must be one of grid, drawn-grid, cifar10, pets, imdb, drawn-reviews, folder:DIR, got 'nope'",
        ),
        (["--dataset", "folder:absent"], "no folder 'absent'"),
        (["--dataset", "drawn-grid", "--explain", "nope"], "method must be one of cam, "),
        (["--dataset", ""], "argument --dataset: must not be empty"),
        (["--epochs", "0"], "argument --epochs: must be an integer >= 1 and <= 1,000,000, got '0'"),
        (["--learning-rate", "nan"], "argument --learning-rate: must be a finite number > 0, got 'nan'"),
        (["--batch-size", "1.5"], "argument --batch-size: must be an integer >= 1 and <= 1,000,000, got '1.5'"),
        (["--limit", "-3"], "argument --limit: must be an integer >= 1 and <= 1,000,000, got '-3'"),
        (["--seed", str(2**32)], "argument --seed: must be an integer >= 0 and < 4,294,967,296, got '4294967296'"),
        (["--dataset", "drawn-grid", "--weights", "imagenet"], "weights='imagenet'"),
        (["--dataset", "drawn-grid", "--backbone", "nope"], "backbone must be one of squeezenet, "),
        (["--dataset", "drawn-grid", "--resume"], "nothing to resume in"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_status_2(train_command, tmp_path, arguments, message):
    status, _, stderr = train_command("--runs", tmp_path / "runs", *arguments)
    assert status == 2 and message in stderr
    assert stderr.startswith("train.py: ") and stderr.count("\n") == 1
    assert not files(tmp_path / "runs")


def test_training_and_explaining_as_the_readme_says(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TFDS_DATA_DIR"}
    for command in (["train.py", "--dataset", "drawn-grid", "--epochs", "1", "--limit", "128"], ["explain.py"]):
        run = subprocess.run(
            [sys.executable, ROOT / command[0], *command[1:]],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        assert (run.returncode, run.stderr) == (0, "")
    assert files(tmp_path / "outputs") == ["gradcam.npz", "gradcam.png", "original_image.png"]
