"""What the operator of the page allows: the options after `--` of `streamlit run`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The options of the page.

    Attributes
    ----------
    runs : str
        The folder of runs, where training writes.
    models : tuple of str
        Folders whose `.keras` files visitors may load.
    read_only : bool
        Whether visitors can neither train nor download weights.
    data_dir : str or None
        Folder of TFDS data.
    """

    runs: str = "runs"
    models: tuple[str, ...] = ()
    read_only: bool = False
    data_dir: str | None = None

    @property
    def arguments(self) -> list[str]:
        """The command line that `parse` reads."""
        found = ["--runs", self.runs, *(part for folder in self.models for part in ("--models", folder))]
        found += ["--read-only"] if self.read_only else []
        return found + (["--data-dir", self.data_dir] if self.data_dir else [])


def parse(arguments: Sequence[str] | None = None) -> Config:
    """The options of the command line; exits with a message for unknown ones."""
    parser = argparse.ArgumentParser(prog="app.py", description="Look through a model in the browser.")
    add = parser.add_argument
    add("--runs", default="runs", help="the folder of runs (default: runs)")
    add("--models", action="append", default=[], metavar="DIR", help="a folder of .keras files; may be repeated")
    add("--read-only", action="store_true", help="no training and no downloads of weights")
    add("--data-dir", help="folder of TFDS data")
    found = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    return Config(found.runs, tuple(found.models), found.read_only, found.data_dir)
