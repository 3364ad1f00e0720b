"""What pip installs: requirement files and pyproject.toml have the same bounds, and the metadata fits the package."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_actmaps as kam

ROOT = Path(__file__).parents[1]
tomllib = pytest.importorskip("tomllib")  # Python 3.11
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def requirements(lines):
    """{name: (extras, bounds)} of requirement lines."""
    found = {}
    for line in lines:
        if text := line.partition("#")[0].strip():
            name, extras, bounds = re.fullmatch(r"([\w.-]+)(\[[\w,-]+\])?(.*)", text).groups()
            found[name.lower().replace("_", "-")] = (extras, bounds)
    return found


def required_by(file):
    return requirements((ROOT / file).read_text(encoding="utf-8").splitlines())


def test_the_readmes_requirements_are_the_base_with_tensorflow_data_and_tf_explain():
    parts = (PROJECT["dependencies"], EXTRAS["tensorflow"], EXTRAS["data"], EXTRAS["tf-explain"])
    assert required_by("requirements.txt") == requirements([line for part in parts for line in part])


@pytest.mark.parametrize("file", ["requirements-dev.txt", "requirements-backends.txt"])
def test_other_requirement_files_have_the_bounds_of_pyproject(file):
    known = requirements([*PROJECT["dependencies"], *(line for part in EXTRAS.values() for line in part)])
    for name, (extras, bounds) in required_by(file).items():
        assert (extras, re.sub(r"^==(.*)\.0$", r">=\1", bounds)) == known[name], name


def test_the_requirements_without_tensorflow_contain_the_base():
    required = required_by("requirements-backends.txt")
    assert requirements(PROJECT["dependencies"]).items() <= required.items()
    assert not required.keys() & {"tensorflow", "tensorflow-datasets", "tf-explain"}


def test_all_contains_every_extra_for_users():
    ((_, (named, _)),) = requirements(EXTRAS["all"]).items()
    assert set(named.strip("[]").split(",")) == EXTRAS.keys() - {"all", "dev", "docs"}


def test_an_installation_with_torch_or_jax_needs_no_tensorflow():
    for extra in ("torch", "jax"):
        required = requirements([*PROJECT["dependencies"], *EXTRAS[extra]])
        assert not any("tensorflow" in name or name.startswith("tf-") for name in required)


@pytest.mark.parametrize("target", PROJECT["scripts"].values())
def test_the_console_scripts_exist(target):
    module, _, function = target.partition(":")
    code = f"import importlib; raise SystemExit(not callable(importlib.import_module({module!r}).{function}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_citation_and_changelog_have_the_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(kam.__version__)}$", citation, re.M)
    assert f"## [{kam.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
