"""The notebooks: complete, without outputs, and, with NOTEBOOKS=all, run from top to bottom with small settings."""

import ast
import importlib.util
import json
import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def test_there_are_nine_notebooks_and_the_list_names_them():
    assert [path.name.split("_")[0] for path in NOTEBOOKS] == [str(number) for number in range(1, 10)]
    listed = (FOLDER / "README.md").read_text("utf-8")
    assert all(f"({path.name})" in listed for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_has_exercises_with_solutions(path):
    cells = read(path)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    for cell in code:
        ast.parse("".join(cell["source"]))
    text = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
    assert text.startswith("# ") and text.index("## Exercises") < text.index("## Solutions")


@pytest.mark.skipif(os.environ.get("NOTEBOOKS") != "all", reason="takes minutes: NOTEBOOKS=all runs the notebooks")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for module in read(path)["metadata"]["keras_actmaps"]["needs"]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    monkeypatch.setenv("NOTEBOOK_FAST", "1")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
