"""The commands in-process: (exit status, what is on stdout, what is on stderr)."""

from typing import NamedTuple

import pytest

from keras_actmaps.cli import main


class Result(NamedTuple):
    """What a command did."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def explain_command(capsys):
    """`explain_command("--method", "cam", ...)` runs the command explain; arguments may be numbers and paths."""

    def run(*arguments) -> Result:
        capsys.readouterr()
        status = main.explain_main([str(argument) for argument in arguments])
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def train_command(capsys):
    """`train_command("--dataset", "drawn-grid", ...)` runs the command train."""

    def run(*arguments) -> Result:
        capsys.readouterr()
        status = main.train_main([str(argument) for argument in arguments])
        return Result(status, *capsys.readouterr())

    return run
