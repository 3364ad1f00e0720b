"""The entry points: status, --help, `python -m keras_actmaps`, optimized Python, Ctrl-C and one trace per run."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_actmaps.cli import main
from keras_actmaps.core import traced_model
from keras_actmaps.methods import METHODS

ROOT = Path(__file__).parents[2]


def python(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **options)


def test_help_is_status_0_and_names_every_option(capsys):
    assert main.explain_main(["--help"]) == 0
    assert main.train_main(["--help"]) == 0
    written = capsys.readouterr()
    assert written.err == ""
    for option in ("--method", "--image", "--boxes", "--set", "--dataset", "--learning-rate", "--explain"):
        assert option in written.out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "python -m keras_actmaps: the following arguments are required: command"),
        (["paint"], "python -m keras_actmaps: argument command: invalid choice: 'paint'"),
        (["train", "--epochs", "x"], "python -m keras_actmaps: argument --epochs: must be an integer >= 1"),
        (["explain", "--alpha", "2"], "python -m keras_actmaps: argument --alpha: must be 'map' or a finite number"),
    ],
)
def test_the_package_as_a_command(capsys, arguments, message):
    assert main.main(arguments) == 2
    written = capsys.readouterr().err
    assert written.startswith(message) and written.count("\n") == 1


def test_the_listing_works_in_optimized_python_that_drops_docstrings():
    run = python("-OO", "explain.py", "--list")
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert [line for line in lines if line in METHODS] == list(METHODS)
    for name, method in METHODS.items():
        start = lines.index(name)
        assert lines[start + 1] == f"    {method.summary} ({method.paper})."
        listed = [line.split("=")[0].strip() for line in lines[start + 3 : start + 3 + len(method.settings)]]
        assert listed == list(method.settings)


def test_ctrl_c_is_one_line_and_status_130(capsys):
    def interrupted(name, arguments):
        raise KeyboardInterrupt("what was done is kept")

    assert main.run(interrupted, "train.py", []) == 130
    assert capsys.readouterr().err == "train.py: what was done is kept\n"

    def interrupted_early(name, arguments):
        raise KeyboardInterrupt

    assert main.run(interrupted_early, "train.py", []) == 130
    assert capsys.readouterr().err == "train.py: interrupted\n"


def test_an_error_of_several_lines_is_written_in_one(capsys):
    def broken(name, arguments):
        raise OSError("first\n  second\n")

    assert main.run(broken, "train.py", []) == 2
    assert capsys.readouterr().err == "train.py: first second\n"


def test_a_fault_of_the_program_is_not_hidden():
    def faulty(name, arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main.run(faulty, "train.py", [])


def test_a_reader_that_closes_the_pipe_leaves_no_traceback():
    listing = subprocess.Popen(
        [sys.executable, "-m", "keras_actmaps", "explain", "--list"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    listing.stdout.close()
    assert listing.stderr.read() == b""
    assert listing.wait() == 1


def test_the_model_is_traced_once_in_a_run(run, explain_command, tmp_path, monkeypatch):
    traces, trace = [], traced_model.trace_model
    monkeypatch.setattr(
        traced_model, "trace_model", lambda model, shapes: traces.append(model.name) or trace(model, shapes)
    )
    arguments = ("--run", run.path, "--output", tmp_path, "--index", 0, "--method", "gradcam,saliency,cam,feature_maps")
    for layer in ("features", "5"):
        traces.clear()
        assert explain_command(*arguments, "--layer", layer).status == 0
        assert traces == ["grid_cnn"]
