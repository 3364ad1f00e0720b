"""Progress bars: exact, on terminals only, for slow work only, and removed afterwards."""

import io

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.core import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    def show(stream):
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return show


def explain_with_bar(method="occlusion", images=7, **settings):
    inputs = np.random.default_rng(0).random((images, 8, 8, 3), "float32")
    with progress.progress(method) as report:
        kam.explain(gap_network((8, 8, 3)), inputs, method, batch_size=3, report=report, **settings)


def test_a_slow_method_shows_a_bar_and_removes_it(screen, monkeypatch):
    terminal = screen(Terminal())
    monkeypatch.setattr(progress, "DELAY", 0)
    explain_with_bar(patch=4, stride=4)
    assert "occlusion" in terminal.getvalue() and "\n" not in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2].strip() == ""


def test_no_bar_for_quick_work_or_without_a_terminal(screen, monkeypatch):
    terminal = screen(Terminal())
    explain_with_bar(patch=4, stride=4)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "DELAY", 0)
    file = screen(io.StringIO())
    explain_with_bar(patch=4, stride=4)
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    "method, settings, passes",
    [
        ("occlusion", {"patch": 4, "stride": 4}, 5),
        ("rise", {"samples": 10}, 10),
        ("extremal_perturbation", {"steps": 6}, 7 + 3 * 2),  # three fills are tried for a step
        ("extremal_perturbation", {"steps": 6, "fill": "zero"}, 7),
    ],
)
@pytest.mark.parametrize("targets", [None, [[0, 1]] * 7])
def test_reports_add_up_to_the_total_that_each_of_them_gives(method, settings, passes, targets):
    reported = []
    inputs = np.random.default_rng(0).random((7, 8, 8, 3), "float32")
    kam.explain(
        gap_network((8, 8, 3)),
        inputs,
        method,
        targets=targets,
        batch_size=3,
        report=lambda *pair: reported.append(pair),
        **settings,
    )
    totals = {total for _, total in reported}
    assert totals == {sum(done for done, _ in reported)} == {9 * passes * (1 if targets is None else 2)}
