"""Table: means, standard errors and winners by hand; files that are written can be read back."""

import csv
import re

import numpy as np
import pytest

from keras_actmaps.comparison.table import Table, duration

VALUES = np.array(
    [[[1, 2, 3, np.nan], [5, 5, 5, 5]], [[4, 4, 4, 4], [5, 5, 5, 5]], [[0, 0, 0, np.nan], [1, 2, 3, 4]]], "float64"
)
TABLE = Table(
    ("a|b", "<i>", "plain"),
    ("drop", "gain"),
    ("lower", "higher"),
    VALUES,
    np.array([0.0123, 4.56, 2.0]),
    np.array([1, 2001, 3.5]),
)


def test_means_errors_counts_and_winners():
    np.testing.assert_allclose(TABLE.mean, [[2, 5], [4, 5], [0, 2.5]])
    np.testing.assert_allclose(TABLE.error, [[1 / np.sqrt(3), 0], [0, 0], [0, np.sqrt(5 / 3) / 2]])
    np.testing.assert_array_equal(TABLE.counts, [[3, 4], [4, 4], [3, 4]])
    np.testing.assert_array_equal(TABLE.best, [[False, True], [False, True], [True, False]])


def test_one_image_has_no_error_and_none_has_no_mean():
    values = np.array([[[3.0], [np.nan]]])
    one = Table(("m",), ("x", "y"), ("higher", "higher"), values, np.ones(1), np.ones(1))
    assert one.mean[0, 0] == 3 and np.isnan(one.mean[0, 1]) and np.isnan(one.error).all()
    assert one.best.tolist() == [[True, False]]
    assert one.texts(0) == ["3", "–"]
    assert "1 image; " in one.describe() and "left out: y 1." in one.describe()


def test_markdown_contains_all_numbers_and_the_best_in_bold():
    lines = TABLE.markdown().splitlines()
    assert lines[0] == "| method | drop ↓ | gain ↑ | time per image | passes |"
    assert lines[2] == r"| a\|b | 2 ± 0.58 | **5 ± 0** | 12.3 ms | 1 |"
    assert lines[3] == "| <i> | 4 ± 0 | **5 ± 0** | 4.56 s | 2,001 |"
    assert lines[4] == "| plain | **0 ± 0** | 2.5 ± 0.65 | 2 s | 3.5 |"
    assert "4 images" in lines[-1] and lines[-1].endswith("left out: drop 1.")


def test_csv_can_be_read_back(tmp_path):
    with TABLE.save_csv(tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == list(TABLE.methods)
    np.testing.assert_allclose([float(row["drop"]) for row in rows], TABLE.mean[:, 0])
    np.testing.assert_allclose([float(row["gain error"]) for row in rows], TABLE.error[:, 1], rtol=1e-5)
    assert [row["drop images"] for row in rows] == ["3", "4", "3"]
    assert [float(row["seconds per image"]) for row in rows] == [0.0123, 4.56, 2.0]
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_html_is_complete_and_escaped():
    page = TABLE.html("A & B", "compare.png")
    assert "<h1>A &amp; B</h1>" in page and "&lt;i&gt;" in page and "<i>" not in page
    assert page.count("<tr>") == 4 and page.count("<td>") == 15
    assert re.findall("<b>(.*?)</b>", page) == ["5 ± 0", "5 ± 0", "0 ± 0"]
    assert '<img src="compare.png"' in page and "<img" not in TABLE.html()


@pytest.mark.parametrize("seconds, words", [(0.00123, "1.23 ms"), (0.9, "900 ms"), (1.5, "1.5 s"), (4321, "4,321 s")])
def test_durations(seconds, words):
    assert duration(seconds) == words
