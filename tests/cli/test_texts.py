"""The commands on texts: a run with its vocabulary, and pictures of words."""

import numpy as np
import pytest

import keras_actmaps as kam
from keras_actmaps.core.vocabulary import Vocabulary
from keras_actmaps.training import runs
from keras_actmaps.training.train import train

TEXT = "The plot was brilliant. <script>alert(1)</script> The ending felt awful"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return train("drawn-reviews", backbone="text_conv", epochs=3, limit=400, runs=folder, say=lambda line: None)


@pytest.fixture
def explain(trained, tmp_path, explain_command):
    return lambda *arguments: explain_command("--run", trained.path, "--output", tmp_path / "out", *arguments)


def test_a_run_has_the_vocabulary_of_its_data_and_learns(trained):
    assert runs.open_run(trained.path).vocabulary() == Vocabulary(trained.data().info.vocabulary)
    assert trained.metrics["test_accuracy"] > 0.8 and trained.model().name == "text_conv"


def test_texts_are_drawn_as_html_and_png_with_their_maps(explain, trained, tmp_path):
    result = explain("--method", "integrated_gradients,occlusion", "--text", TEXT, "superb", "--target", "pos")
    assert result.status == 0 and "text 1, predicted: " in result.stdout, result.stderr
    files = {path.name for path in (tmp_path / "out").iterdir()}
    names = ("integrated_gradients", "occlusion")
    assert files == {f"{name}{suffix}" for name in (*names, "all") for suffix in (".html", ".png", ".npz")} - {
        "all.npz"
    }
    page = (tmp_path / "out" / "all.html").read_text()
    assert "&lt;script&gt;" in page and "<script>" not in page and "brilliant</span>" in page
    e = kam.Explanation.load(tmp_path / "out" / "integrated_gradients.npz")
    ids = trained.vocabulary().encode([TEXT, "superb"], 64)
    expected = kam.explain(trained.model(), ids, "integrated_gradients", 1)
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-6)


def test_a_file_has_a_text_in_each_line_and_the_split_has_labels(explain, tmp_path):
    (tmp_path / "texts.txt").write_text("superb film\n\nboring " + "word " * 80, encoding="utf-8")
    result = explain("--method", "saliency", "--text-file", tmp_path / "texts.txt")
    assert "texts.txt, line 3: the model reads the first 64 of 81 words" in result.stdout
    result = explain("--method", "saliency", "--index", 5, 2)
    assert result.stdout.index("test text 5, true: ") < result.stdout.index("test text 2, true: ")
    assert explain("--method", "saliency").status == 0


@pytest.mark.parametrize(("arguments", "message"), [
    (["--text", " "], "text 0 has no words"),
    (["--text-file", "nowhere.txt"], "nowhere.txt"),
    (["--index", "4000"], "--index 4000 is outside the test split, which has 400 texts"),
    (["--method", "feature_maps"], "feature_maps draws images, and this run has texts"),
    (["--compare"], "--compare draws images, and this run has texts"),
    (["--compare", "--text", "a"], "--text and --text-file are not for --compare"),
    (["--boxes", "--text", "a"], "do not apply to a run on texts"),
])  # fmt: skip
def test_what_does_not_fit_texts_is_one_line(explain, arguments, message):
    result = explain(*arguments)
    assert result.status == 2 and message in result.stderr and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (["--dataset", "drawn-grid", "--backbone", "text_gap"], "'text_gap' takes token ids, and 'drawn-grid' has images"),
    (["--dataset", "drawn-reviews", "--explain", "saliency"], "training on texts cannot be explained"),
])  # fmt: skip
def test_models_and_options_that_do_not_fit_the_data_are_one_line(train_command, tmp_path, arguments, message):
    result = train_command("--runs", tmp_path, "--limit", 8, "--epochs", 1, *arguments)
    assert result.status == 2 and message in result.stderr and len(result.stderr.strip().splitlines()) == 1
