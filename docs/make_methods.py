"""Write the tables of methods and looks in docs/methods.md from their docstrings: python -m docs.make_methods."""

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_actmaps.cli.figures import LOOKS
from keras_actmaps.methods import METHODS, catalogue

PAGE = Path(__file__).with_name("methods.md")
TABLES = {"table": METHODS, "table of looks": LOOKS}


def current() -> str:
    """The page with the tables as they should be."""
    page = PAGE.read_text()
    for name, listed in TABLES.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.S)
        table = catalogue.table(listed)
        page = marks.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(current())
