"""tf-explain's own tests, from its source distribution, against the classes of this package."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

REQUIREMENT = "tf-explain==0.3.1"
ROOT = Path(__file__).parents[2]


def download(folder):
    """The source distribution as a file in the folder; skips the test, with the reason, where that fails."""
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps", "--no-binary", ":all:"]
    options = ["--dest", str(folder), "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    try:
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired as error:
        pytest.skip(f"the source distribution of {REQUIREMENT} was not downloaded within {error.timeout:.0f} s")
    found = list(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        reason = done.stderr.strip().splitlines()[-1:]
        pytest.skip(f"the source distribution of {REQUIREMENT} cannot be downloaded: {''.join(reason)}")
    return found[0]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A folder with tf-explain's tests and our conftest.py, but without its package."""
    if importlib.util.find_spec("pytest_mock") is None:
        pytest.skip("tf-explain's own tests need pytest-mock, which is not installed")
    folder = tmp_path_factory.mktemp("suite")
    with tarfile.open(download(folder)) as archive:
        tests = [member for member in archive.getmembers() if member.name.split("/")[1:2] == ["tests"]]
        archive.extractall(folder, tests, filter="data")
    (folder / tests[0].name.split("/")[0]).rename(folder / "upstream")
    shutil.copy(Path(__file__).with_name("upstream_conftest.py"), folder / "upstream" / "conftest.py")
    (folder / "upstream" / "pytest.ini").write_text("[pytest]\n")
    return folder / "upstream"


def test_all_tests_of_tf_explain_pass(suite):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests", "-q", "-p", "no:cacheprovider", "--junitxml=results.xml"],
        cwd=suite,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    cases = ElementTree.parse(suite / "results.xml").iter("testcase")
    passed = Counter(case.get("classname").split(".")[1] for case in cases if len(case.findall("./*")) == 0)
    assert passed.pop("integration") == 2
    assert passed.keys() == {"callbacks", "core", "utils"} and passed.total() == 45
