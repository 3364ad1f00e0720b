"""Write the table of models and methods in docs/models.md from `kam.supported`: python -m docs.make_models.

tests/methods/test_matrix.py shows that what it says is what happens.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "models.md"
MARKS = "<!-- table of models -->\n", "\n<!-- end of table of models -->"


def table(reasons: Mapping[str, Mapping[str, str | None]]) -> str:
    """A Markdown table with a row per kind of model and a column per method, and the reasons as numbered notes."""
    methods = list(next(iter(reasons.values())))
    notes: dict[str, int] = {}
    rows = [["model", *(f"`{method}`" for method in methods)], ["---"] * (len(methods) + 1)]
    for kind, row in reasons.items():
        marks = []
        for method in methods:
            reason = _general(row[method] or "", method)
            marks.append(f"[{notes.setdefault(reason, len(notes) + 1)}](#note-{notes[reason]})" if reason else "✓")
        rows.append([kind, *marks])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    explained = [f'{number}. <a id="note-{number}"></a>{reason}' for reason, number in notes.items()]
    return "\n".join([*lines, "", *explained])


def _general(reason: str, method: str) -> str:
    """A reason without the names of one model, so that models share a note."""
    reason = re.sub(rf"^{method}\b", "the method", reason)
    reason = re.sub(r"'(sequential|functional|opaque|model)\w*'", "the model", reason)
    reason = re.sub(r"'([a-z0-9]+(?:_[a-z0-9]+)*)' \((\w+)\)", r"\2", reason)
    return re.sub(r"layer '\w+' of the model", "the layer", reason)


def current() -> str:
    """The page with its table as it should be."""
    from helpers.matrix import reasons
    from helpers.zoo import KINDS

    begin, end = MARKS
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE} must contain {begin!r} and {end!r}")
    return before + begin + table({kind: reasons(kind) for kind in KINDS}) + end + after


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    PAGE.write_text(current(), encoding="utf-8")
