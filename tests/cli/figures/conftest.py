"""The command explain on a run, as the tests of the figures call it."""

import pytest


@pytest.fixture
def explain(explain_command, run, tmp_path):
    """`explain(method, *settings, layer="conv1", ...)`: the command on the run, which writes to `tmp_path / "out"`."""

    def call(method, *settings, **options):
        arguments = ["--run", run.path, "--output", tmp_path / "out", "--method", method]
        for setting in settings:
            arguments += ["-s", setting]
        for name, value in options.items():
            arguments += [f"--{name}", *(value if isinstance(value, (list, tuple)) else [value])]
        return explain_command(*arguments)

    return call


@pytest.fixture
def files(tmp_path):
    """`files()`: the names of what was written."""
    folder = tmp_path / "out"
    return lambda: sorted(path.name for path in folder.iterdir()) if folder.exists() else []
