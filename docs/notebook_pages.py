"""The notebooks as pages of the site: a hook of mkdocs.yml.

A page shows the text and the code of its notebook, whose outputs are not stored. With NOTEBOOK_OUTPUTS=all, `mkdocs
build` runs the notebooks, with small settings if NOTEBOOK_FAST=1, and the pages show what they print and draw.
"""

import base64
import json
import os
import re
import tempfile
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

FOLDER = Path(__file__).parents[1] / "notebooks"
TEXT = "```text\n"
FORMULA = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\w$])\$(?P<inline>[^$\n]+)\$(?![\w$])", re.S)


def on_files(files, config):
    """Add a page for each notebook."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        text, pictures = page(path.stem, notebook(path))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let links to notebooks, which readers of the repository follow, lead to their pages."""
    return re.sub(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", r"](notebooks/\1.md)", markdown)


def notebook(path: Path) -> dict:
    """The notebook, with outputs if NOTEBOOK_OUTPUTS=all."""
    if os.environ.get("NOTEBOOK_OUTPUTS") != "all":
        return json.loads(path.read_text("utf-8"))
    import nbformat
    from nbclient import NotebookClient

    read = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:  # for the files that it writes
        return NotebookClient(read, timeout=3600, resources={"metadata": {"path": folder}}).execute()


def page(name: str, content: dict) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook, and its pictures by the names of their files."""
    parts, pictures, was_run = [], {}, False
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(FORMULA.sub(_mathml, source))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            was_run = True
            shown = _shown(output, f"{name}_{len(pictures)}.png", pictures)
            if shown.startswith(TEXT) and parts[-1].startswith(TEXT):  # printed at several times
                parts[-1] = parts[-1].removesuffix("```") + shown.removeprefix(TEXT)
            elif shown:
                parts.append(shown)
    outputs = "as it was run" if was_run else "without its outputs: run it from top to bottom to see them"
    note = f"*The page shows `notebooks/{name}.ipynb` {outputs}.*"
    return "\n\n".join([parts[0], note, *parts[1:]]) + "\n", pictures


def _shown(output: dict, file: str, pictures: dict[str, bytes]) -> str:
    """The Markdown of one output of a cell; warnings and progress on stderr are left out."""
    data = output.get("data", {})
    if "image/png" in data:
        pictures[file] = base64.b64decode(data["image/png"])
        return f"![What the cell above draws]({file})"
    if output.get("name") == "stderr":
        return ""
    text = "".join(output.get("text") or data.get("text/plain") or "").rstrip()
    return f"{TEXT}{text}\n```" if text else ""


def _mathml(formula: re.Match) -> str:
    """A formula as MathML, which browsers draw without a script."""
    if formula["block"]:
        return "\n" + convert(formula["block"].strip().replace("\n", " "), display="block") + "\n"
    return convert(formula["inline"])
