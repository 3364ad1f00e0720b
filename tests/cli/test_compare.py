"""explain.py --compare: what it writes, over which images, and what it says of what does not fit."""

import csv

import cv2
import numpy as np
import pytest

import keras_actmaps as kam
from keras_actmaps import Explanation
from keras_actmaps.cli import explain, inputs, main


@pytest.fixture
def compare(run, tmp_path, capsys):
    """explain.py --compare on the run: (exit status, what it said, what it wrote on stderr)."""

    def ask(method="gradcam,lrp", **settings):
        given = {"run": str(run.path), "output": str(tmp_path / "out"), "compare": True, **settings}
        status = main.run(lambda: explain.answer(method, **given), "explain.py")
        said = capsys.readouterr()
        return status, said.out, said.err

    return ask


def rows(folder):
    with (folder / "compare.csv").open(newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_over_the_first_images_of_a_split(compare, run, tmp_path):
    status, said, complained = compare(limit=10, metrics="insertion,energy_pointing", settings=["rule=gamma"])
    assert (status, complained) == (0, "")
    folder = tmp_path / "out"
    names = ["compare.csv", "compare.html", "compare.md", "compare.png", "gradcam.npz", "lrp.npz"]
    assert sorted(path.name for path in folder.iterdir()) == names and all(name in said for name in names)
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
    assert compare(index=[5, 2], target="Coat")[0] == 0
    row = rows(tmp_path / "out")["gradcam"]
    assert [name for name in row if name.endswith("images")] == [
        f"{metric} images" for metric in ("deletion", "insertion", "pointing_game", "energy_pointing", "box_iou")
    ]
    assert row["box_iou images"] == "2"
    assert Explanation.load(tmp_path / "out" / "gradcam.npz").targets.tolist() == [4, 4]


def test_images_of_files_have_no_truth(compare, tmp_path):
    file = str(tmp_path / "image.png")
    cv2.imwrite(file, np.random.default_rng(0).integers(0, 256, (56, 56), "uint8"))
    assert compare(image=[file])[0] == 0
    assert "box_iou" not in rows(tmp_path / "out")["lrp"]
    status, _, complained = compare(image=[file], metrics="energy_pointing")
    assert (status, complained) == (2, "explain.py: energy_pointing needs masks, and the images have none\n")


@pytest.mark.parametrize(
    "given, message",
    [
        ({"method": "feature_maps"}, "no method 'feature_maps'; there are: cam, gradcam"),
        ({"metrics": "beauty"}, "no metric 'beauty'; there are: deletion"),
        ({"limit": 0}, "limit=0 is no number of limit; give 1 or more"),
        ({"limit": 3, "index": [1]}, "give --limit, or --index or --image, not both"),
        ({"target": "all"}, "methods are compared on one target an image"),
        ({"compare": False, "limit": 3}, "--metrics and --limit are for --compare"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(compare, tmp_path, given, message):
    status, _, complained = compare(**given)
    assert status == 2 and message in complained and complained.count("\n") == 1
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_stream_ends_with_its_limit_and_knows_its_length(run):
    for limit, count in ((10, 10), (None, 16), (99, 16)):
        stream = inputs.Stream(inputs.Subject(None, run=run), "test", limit=limit)
        batches = list(stream)
        assert sum(len(images) for images, *_ in batches) == stream.count == count
        assert len(batches) == len(stream)
        assert all(len(images) == len(truth["masks"]) == len(truth["boxes"]) for images, _, truth in batches)
