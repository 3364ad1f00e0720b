"""Run folders: written atomically by training, read by explaining."""

import csv
import json
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_actmaps.core.files import atomic_write, save_rows, save_text

if TYPE_CHECKING:
    from keras_actmaps.data import Data

MODEL, CHECKPOINT, HISTORY = "model.keras", "checkpoint.keras", "history.csv"
PACKAGES = tuple(dict.fromkeys(("keras", keras.backend.backend(), "tensorflow", "tensorflow-datasets", "numpy")))

Epoch = dict[str, float]  # the number of an epoch and its logs


@dataclass(frozen=True)
class Run:
    """A run that can be explained.

    Attributes
    ----------
    path : Path
        Its folder.
    record : dict
        The contents of `run.json`: data set, protocol, class names, versions.
    metrics : dict
        The contents of `metrics.json`: accuracy and loss of the test split.
    """

    path: Path
    record: dict[str, Any]
    metrics: dict[str, Any]

    def model(self) -> keras.Model:
        """The model of the best epoch."""
        return load_model(self.path / MODEL)

    def data(self) -> "Data":
        """The data set that the model was trained on."""
        from keras_actmaps import data  # imports TensorFlow, which models alone do not need

        return data.load(self.record["dataset"], **self.record["data"])


def open_run(path: str | os.PathLike) -> Run:
    """The run in a folder.

    Raises
    ------
    FileNotFoundError
        If the folder contains no run.
    ValueError
        If its records cannot be read.
    """
    path = Path(path)
    if not (path / "run.json").is_file() or not (path / MODEL).is_file():
        existing = ", ".join(map(str, _find_runs(path.parent) or _find_runs(Path("runs")))) or "none"
        raise FileNotFoundError(f"no run in {str(path)!r}; existing runs: {existing}")
    return Run(path, _read_json(path / "run.json"), _read_json(path / "metrics.json"))


def newest_run(runs: str | os.PathLike = "runs") -> Run:
    """The most recently written run; FileNotFoundError if there is none."""
    found = _find_runs(Path(runs))
    if not found:
        raise FileNotFoundError(f"no run yet in {str(runs)!r}; train one with: python train.py")
    return open_run(max(found, key=lambda run: (run / MODEL).stat().st_mtime))


def load_model(path: str | os.PathLike) -> keras.Model:
    """Load a `.keras` file; FileNotFoundError if it does not exist, ValueError if it is not a model."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {str(path)!r}")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many types for a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{str(path)!r} cannot be loaded as a Keras model: {reason}") from error


class RunFolder:
    """The folder of a run in progress: `<name>.partial`, which replaces `<name>` when it is published.

    An earlier run of the same name is therefore not lost to one that never finished an epoch.
    """

    def __init__(self, runs: str | os.PathLike, dataset: str) -> None:
        name, _, directory = dataset.partition(":")
        self.path = Path(runs) / (f"{name}-{Path(directory).resolve().name}" if directory else name)
        self.partial = self.path.with_name(self.path.name + ".partial")

    def begin(self, record: dict[str, Any], summary: str) -> None:
        """Create an empty folder with the record of the run."""
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self.write("run.json", json.dumps({**record, "versions": _versions()}, indent=2))
        self.write("summary.txt", summary)
        self.write("metrics.json", "{}")

    def resume(self) -> tuple[keras.Model, list[Epoch]]:
        """The model of the last finished epoch, with its optimizer, and the history so far.

        Raises
        ------
        FileNotFoundError
            If the folder contains no checkpoint.
        """
        if not self.partial.is_dir() and self.path.is_dir():
            shutil.copytree(self.path, self.partial)
        checkpoint = self.partial / CHECKPOINT
        if not checkpoint.is_file():
            raise FileNotFoundError(f"nothing to resume in {str(self.path)!r}; train without --resume first")
        with (self.partial / HISTORY).open(newline="", encoding="utf-8") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        return keras.saving.load_model(checkpoint), rows

    def write(self, name: str, text: str) -> None:
        """Write a text file."""
        save_text(self.partial / name, text)

    def write_history(self, history: list[Epoch]) -> None:
        """Write `history.csv`, with NaN for columns that an epoch does not have."""
        names = list(dict.fromkeys(name for epoch in history for name in epoch))
        save_rows(self.partial / HISTORY, [names, *([epoch.get(name, "nan") for name in names] for epoch in history)])

    def save(self, name: str, model: keras.Model) -> None:
        """Save a model, with its optimizer except for the one that is explained."""
        with atomic_write(self.partial / name) as temporary:
            model.save(temporary, include_optimizer=name != MODEL)

    def has_model(self) -> bool:
        """Whether an epoch was finished."""
        return (self.partial / MODEL).is_file()

    def publish(self) -> Run:
        """Replace the earlier run of the same name by this one."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.partial.replace(self.path)
        return open_run(self.path)


def _find_runs(folder: Path) -> list[Path]:
    found = sorted(file.parent for file in folder.glob(f"*/{MODEL}"))
    return [run for run in found if run.suffix != ".partial" and (run / "run.json").is_file()]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


def _versions() -> dict[str, str]:
    """The versions of the packages in use; those under another name, such as tensorflow-cpu, are omitted."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
