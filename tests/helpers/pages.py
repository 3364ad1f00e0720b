"""The pages of the documentation: their code blocks, and what is linked.

The blocks of Python on a page are run in one namespace, from top to bottom. Comments in the line above a block, which
readers of the page do not see, say what it needs:

<!-- needs: tensorflow onnxruntime -->    modules that a test looks for; without them the block is skipped
<!-- needs: KERAS_BACKEND=torch -->       the framework of Keras
<!-- not run: a model that is large -->   something that no test has

A comment that begins with "given" contains lines of Python that make the names which a page assumes.
"""

import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

from helpers.tensors import BACKEND

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LANGUAGES = {"python", "sh", "text", "diff", "yaml", "bibtex"}
_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>needs|not run): (?P<what>[^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$|^<!-- given\n(?P<given>.*?)^-->$",
    re.S | re.M,
)


class Block(NamedTuple):
    """A fenced block: its language, its text, the number of its first line, and what it needs."""

    language: str
    text: str
    line: int
    mark: str
    what: str

    def missing(self) -> str:
        """What the block needs and is not here; empty if it can run."""
        if self.mark == "not run":
            return self.what
        return ", ".join(need for need in self.what.split() if not _is_here(need))


def _is_here(need: str) -> bool:
    if need.startswith("KERAS_BACKEND="):
        return need == f"KERAS_BACKEND={BACKEND}"
    return importlib.util.find_spec(need) is not None


def blocks(text: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        part = "text" if match["given"] is None else "given"
        line = text.count("\n", 0, match.start(part)) + 1
        found.append(Block(match["language"] or "python", match[part], line, match["mark"] or "", match["what"] or ""))
    return found


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a page, and those that are set by hand."""
    headings = re.findall(r"^#+ +(.*?)$", _FENCE.sub("", text), re.M)
    slugs = {re.sub(r" ", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}
    return slugs | set(re.findall(r'id="([^"]+)"', text))


def name(path: Path) -> str:
    """The path of a page in the repository."""
    return path.relative_to(ROOT).as_posix()
