"""The progress bar of explain.py: exact, on a terminal only, only where it takes long, and gone afterwards."""

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


def explain(method="occlusion", images=7, **settings):
    probe = kam.Probe(gap_network((8, 8, 3)))
    pictures = np.random.default_rng(0).random((images, 8, 8, 3), "float32")
    with progress.reporting(probe, method):
        kam.explain(probe, pictures, method, batch_size=3, **settings)


def test_a_long_method_shows_how_far_it_is_and_leaves_nothing(screen, monkeypatch):
    terminal = screen(Terminal())
    monkeypatch.setattr(progress, "PATIENCE", 0)
    explain(patch=4, stride=4)
    assert "occlusion" in terminal.getvalue() and "\n" not in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2].strip() == ""


def test_nothing_is_shown_for_what_is_quick_or_where_there_is_no_terminal(screen, monkeypatch):
    terminal = screen(Terminal())
    explain(patch=4, stride=4)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", 0)
    file = screen(io.StringIO())
    explain(patch=4, stride=4)
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    "method, settings, passes",
    [
        ("occlusion", {"patch": 4, "stride": 4}, 5),
        ("rise", {"samples": 10}, 10),
        ("extremal_perturbation", {"steps": 6}, 6),
    ],
)
@pytest.mark.parametrize("targets", [None, [[0, 1]] * 7])
def test_what_is_done_adds_up_to_the_total_that_was_told_from_the_start(method, settings, passes, targets):
    probe, told = kam.Probe(gap_network((8, 8, 3))), []
    probe.report = lambda done, total: told.append((done, total))
    pictures = np.random.default_rng(0).random((7, 8, 8, 3), "float32")
    kam.explain(probe, pictures, method, targets=targets, batch_size=3, **settings)
    totals = {total for _, total in told}
    assert totals == {sum(done for done, _ in told)} == {9 * passes * (1 if targets is None else 2)}
