"""The notebooks: complete, without outputs, in the site, and, with NOTEBOOKS=all, run with small settings."""

import ast
import importlib.util
import json
import os
import re
import runpy
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
    listed = (FOLDER.parent / "docs" / "notebooks.md").read_text("utf-8")
    assert all(f"(../notebooks/{path.name})" in listed for path in NOTEBOOKS)
    configuration = (FOLDER.parent / "mkdocs.yml").read_text("utf-8")
    assert all(f"- notebooks/{path.stem}.md\n" in configuration for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_has_exercises_with_solutions(path):
    cells = read(path)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    for cell in code:
        ast.parse("".join(cell["source"]))
    text = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
    assert text.startswith("# ") and text.index("## Exercises") < text.index("## Solutions")


@pytest.fixture(scope="module")
def hook():
    """The hook of the site that makes pages of notebooks."""
    for module in ("mkdocs", "latex2mathml"):
        pytest.importorskip(module, reason="extra docs")
    return runpy.run_path(str(FOLDER.parent / "docs" / "notebook_pages.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_page_of_a_notebook_has_all_its_code_and_its_formulas_for_browsers(hook, path):
    content = read(path)
    page, pictures = hook["page"](path.stem, content)
    code_cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    code = ["".join(cell["source"]) for cell in code_cells]
    assert re.findall(r"^```python\n(.*?)\n```$", page, re.S | re.M) == code and not pictures
    text = re.sub(r"```.*?```", "", page, flags=re.S)
    marks = re.findall(
        r"\$\$?", "".join("".join(cell["source"]) for cell in content["cells"] if cell not in code_cells)
    )
    assert "$" not in text and text.count("<math ") == len(marks) / 2


def test_the_page_of_a_notebook_that_was_run_shows_what_it_prints_and_draws(hook):
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "a warning"},
        {"output_type": "stream", "name": "stdout", "text": ["two\n", "lines\n"]},
        {"output_type": "stream", "name": "stdout", "text": ["more\n"]},
        {"output_type": "display_data", "data": {"image/png": "UE5H\n", "text/plain": "<Figure>"}},
        {"output_type": "execute_result", "data": {"text/plain": ["3"]}},
    ]
    text = {"cell_type": "markdown", "source": ["# Title"]}
    cell = {"cell_type": "code", "source": ["draw()"], "outputs": outputs}
    page, pictures = hook["page"]("1_x", {"cells": [text, cell]})
    shown = ["```python\ndraw()\n```", "```text\ntwo\nlines\nmore\n```", "![What the cell above draws](1_x_0.png)"]
    assert page.endswith("\n\n".join([*shown, "```text\n3\n```"]) + "\n") and page.startswith("# Title\n")
    assert pictures == {"1_x_0.png": b"PNG"}


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
