"""Write the table of methods in docs/methods.md from their docstrings: python -m docs.make_methods."""

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_actmaps.methods import catalogue

PAGE = Path(__file__).with_name("methods.md")
MARKS = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.S)


def current() -> str:
    """The page with the table as it should be."""
    return MARKS.sub(lambda marks: f"{marks[1]}{catalogue.table()}\n{marks[2]}", PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(current())
