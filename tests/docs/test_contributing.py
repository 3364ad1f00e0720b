"""The worked examples of CONTRIBUTING.md, added to a copy of the package: their own tests pass there.

A code block that begins with the name of a file is that file. The first line of a diff names the file; of the others,
those with " " and "-" are found in the file, next to each other, and become those with " " and "+".
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", PAGE, re.S | re.M)
CHANGES = re.findall(r"^```diff\n\+\+\+ (\S+)\n(.*?)^```$", PAGE, re.S | re.M)
HAS_DATA = importlib.util.find_spec("tensorflow_datasets") is not None
TESTS = [name for name, _ in FILES if name.startswith("tests/") and (HAS_DATA or not name.startswith("tests/data/"))]


def change(text: str, diff: str) -> str:
    """The text with a diff applied where its lines are found, which must be one place."""
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if line[0] != "+")
    after = "\n".join(line[1:] for line in lines if line[0] != "-")
    assert text.count(before) == 1, f"{before!r} occurs {text.count(before)} times"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the package and of what its tests need, with all examples added."""
    folder = tmp_path_factory.mktemp("contributing")
    for part in ("keras_actmaps", "tests/helpers"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "conftest.py", "tests/conftest.py"):
        shutil.copy(ROOT / part, folder / part)
    for name, text in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"{name} exists"
        path.write_text(text, encoding="utf-8")
    for name, diff in CHANGES:
        path = folder / name
        path.write_text(change(path.read_text(encoding="utf-8"), diff), encoding="utf-8")
    return folder


def test_every_kind_of_addition_has_an_example_with_a_test():
    names = [name for name, _ in FILES if name.startswith("tests/")]
    assert {name.split("/")[1] for name in names} == {"methods", "metrics", "data"} and len(names) == 5
    assert any("methods/rules" in name for name in names) and len(CHANGES) == 8


def test_the_examples_pass_their_tests(changed):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *TESTS]
    run = subprocess.run(command, cwd=changed, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert re.search(r"^\d+ passed", run.stdout, re.M), run.stdout


def test_a_method_takes_one_file_one_line_and_one_test():
    section = PAGE.partition("## Add a method\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^```python\n# keras_actmaps/", section, re.M)) == 1
    assert len(re.findall(r"^```python\n# tests/", section, re.M)) == 1
    assert [line for line in section.splitlines() if re.match(r"\+ ", line)] == ['+    "gradient_norm",']
