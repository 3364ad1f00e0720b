"""Write the tables of methods and figures in docs/methods.md from their records: python -m docs.make_methods."""

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_actmaps.cli.figures import FIGURES
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.catalogue import settings_table, table

PAGE = Path(__file__).with_name("methods.md")


def current() -> str:
    """The page with its tables as they should be."""
    page = PAGE.read_text(encoding="utf-8")
    tables = {
        "table of methods": table(METHODS),
        "table of settings": settings_table(METHODS),
        "table of figures": table(FIGURES),
        "table of settings of figures": settings_table(FIGURES),
    }
    for name, text in tables.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
        page, count = pattern.subn(lambda _, new=begin + text + end: new, page)
        if count != 1:
            raise ValueError(f"{PAGE} must contain {name!r} once, got {count}")
    return page


if __name__ == "__main__":
    PAGE.write_text(current(), encoding="utf-8")
