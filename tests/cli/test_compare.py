"""explain.py --compare: what it writes, over which images, and what it prints of methods that do not fit."""

import csv
import re

import cv2
import numpy as np
import pytest
from helpers.settings import FOR_CONVNETS

import keras_actmaps as kam
from keras_actmaps import Explanation
from keras_actmaps.cli import inputs


@pytest.fixture
def compare(run, tmp_path, explain_command):
    """The command explain --compare on the run, writing to tmp_path / "out"."""
    common = ("--run", run.path, "--output", tmp_path / "out", "--compare")
    return lambda *arguments: explain_command(*common, "--method", "gradcam,lrp", *arguments)


def rows(folder):
    with (folder / "compare.csv").open(newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_over_the_first_images_of_a_split(compare, run, tmp_path):
    status, stdout, stderr = compare("--limit", 10, "--metrics", "insertion,energy_pointing", "-s", "rule=gamma")
    assert (status, stderr) == (0, "")
    folder = tmp_path / "out"
    names = ["compare.csv", "compare.html", "compare.md", "compare.png", "gradcam.npz", "lrp.npz"]
    assert sorted(path.name for path in folder.iterdir()) == names and all(name in stdout for name in names)
    images, _, truth = next(run.data().truth("test").unbatch().batch(10).as_numpy_iterator())
    masks = kam.data.masks(truth, (56, 56))
    for method, settings in (("gradcam", {}), ("lrp", {"rule": "gamma"})):
        e = kam.explain(run.model(), images, method, **settings)
        label = " ".join([method, *(f"{key}={value}" for key, value in settings.items())])
        share = kam.metrics.energy_pointing(e, masks).mean()
        assert float(rows(folder)[label]["energy_pointing"]) == pytest.approx(share, rel=1e-4)
        assert rows(folder)[label]["insertion images"] == "10"
        drawn = Explanation.load(folder / f"{method}.npz")
        np.testing.assert_allclose(drawn.maps, e.maps[:4], atol=1e-5 * np.abs(e.maps).max())
        assert f"| {label} |" in (folder / "compare.md").read_text()
        assert f"<td>{label}</td>" in (folder / "compare.html").read_text()
    assert cv2.imread(str(folder / "compare.png")) is not None


def test_over_the_images_that_are_named(compare, tmp_path):
    status, stdout, stderr = compare("--index", 5, 2, "--target", "Coat")
    assert (status, stderr) == (0, "")
    maps = Explanation.load(tmp_path / "out" / "gradcam.npz").maps
    assert ("warning: gradcam: 1 of 2 maps are all zero" in stdout) == ((maps == 0).all(axis=(1, 2)).sum() == 1)
    row = rows(tmp_path / "out")["gradcam"]
    assert [name for name in row if name.endswith("images")] == [
        f"{metric} images" for metric in ("deletion", "insertion", "pointing_game", "energy_pointing", "box_iou")
    ]
    assert row["box_iou images"] == "2"
    assert Explanation.load(tmp_path / "out" / "gradcam.npz").targets.tolist() == [4, 4]


def test_images_of_files_have_no_truth(compare, tmp_path):
    file = tmp_path / "image.png"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 256, (56, 56), "uint8"))
    assert compare("--image", file).status == 0
    assert "box_iou" not in rows(tmp_path / "out")["lrp"]
    status, _, stderr = compare("--image", file, "--metrics", "energy_pointing")
    assert (status, stderr) == (2, "explain.py: energy_pointing requires masks, and the images have none\n")


def test_of_all_methods_those_that_do_not_fit_are_left_out(compare, tmp_path):
    few = ("-s", "samples=2", "-s", "steps=2", "-s", "of=cam", "-s", "channels=sum", "-s", "patch=28")
    status, stdout, stderr = compare("--method", "all", "--index", 0, "--metrics", "entropy", *few)
    assert (status, stderr) == (0, "")
    assert re.search(r"smoothgrad .*of=cam.* does not fit: channels='sum', but the maps of cam have no", stdout)
    assert re.search("kernel_shap samples=2.* does not fit: samples", stdout)
    found = {label.split()[0] for label in rows(tmp_path / "out")}
    assert found == set(FOR_CONVNETS) - {"smoothgrad", "squaregrad", "vargrad", "kernel_shap"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--method", "feature_maps"], "no method 'feature_maps'; choices: cam, gradcam"),
        (["--metrics", "beauty"], "metric must be one of deletion, "),
        (["--metrics", ""], "argument --metrics: must not be empty"),
        (["--limit", 0], "argument --limit: must be an integer >= 1 and <= 1,000,000, got '0'"),
        (["--limit", 3, "--index", 1], "argument --index: not allowed with argument --limit"),
        (["--target", "all"], "--target all: methods are compared on one target per image; pass one class"),
        (["--method", "lrp,lrp"], "lrp"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(compare, tmp_path, arguments, message):
    status, _, stderr = compare(*arguments)
    assert status == 2 and message in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_metrics_and_limits_need_compare(run, explain_command):
    for arguments in (["--limit", 3], ["--metrics", "all"]):
        status, _, stderr = explain_command("--run", run.path, *arguments)
        assert (status, stderr) == (2, "explain.py: --metrics needs --compare, and --limit needs --compare or --all\n")


def test_a_stream_ends_with_its_limit_and_knows_its_length(run):
    for limit, count in ((10, 10), (None, 16), (99, 16)):
        stream = inputs.Stream(inputs.Subject(None, run=run), "test", limit=limit)
        batches = list(stream)
        assert sum(len(images) for images, *_ in batches) == stream.count == count
        assert len(batches) == len(stream)
        assert all(len(images) == len(truth["masks"]) == len(truth["boxes"]) for images, _, truth in batches)


def test_all_metrics_are_those_that_fit(compare, tmp_path):
    assert compare("--index", 0, "--method", "saliency", "--metrics", "all").status == 0
    text = (tmp_path / "out" / "compare.csv").read_text()
    assert "random_logit" in text and "comprehensiveness" not in text
