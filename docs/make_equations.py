"""Write docs/equations.md from the first lines of the functions of the methods: python -m docs.make_equations."""

import importlib
import inspect
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_actmaps.methods import METHODS

PAGE = Path(__file__).with_name("equations.md")
HEAD = """# Equations

Y is the score that is explained, x the input, A the features of a layer, g or dY/dA a gradient. Each entry is the first
paragraph of the function that computes it, in `keras_actmaps/methods/`. The page is written by
`python -m docs.make_equations`; the settings are in [a table of all methods](methods.md#the-methods).
"""


def current() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for name, method in METHODS.items():
        module = importlib.import_module(f"keras_actmaps.methods.{name}")
        equation = str(inspect.getdoc(getattr(module, name))).split("\n\n")[0]
        about = [
            f"{method.summary}.",
            f"*Cost:* {method.cost}",
            f"*Limitations:* {method.limitations}",
            f"*{method.paper}*",
        ]
        parts.append(f"## {name}\n\n```text\n{equation}\n```\n\n" + "  \n".join(about) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(current(), encoding="utf-8")
