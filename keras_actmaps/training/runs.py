"""A run folder: what training writes, safely, and what explaining reads."""

import csv
import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from keras_actmaps.core.files import atomic_write

if TYPE_CHECKING:  # which needs TensorFlow; a run can be opened without it
    from keras_actmaps import data as datasets

PACKAGES = tuple(dict.fromkeys(("keras", keras.backend.backend(), "tensorflow", "tensorflow-datasets", "numpy")))


@dataclass(frozen=True)
class Run:
    """A run that can be explained: its folder and what its `run.json` and `metrics.json` say."""

    path: Path
    record: dict
    metrics: dict

    def model(self) -> keras.Model:
        return load_model(self.path / "model.keras")

    def data(self) -> "datasets.Data":
        from keras_actmaps import data as datasets

        return datasets.load(self.record["dataset"], **self.record["data"])


def open_run(path) -> Run:
    """The run in a folder; FileNotFoundError or ValueError names what is missing or broken."""
    path = Path(path)
    if not (path / "run.json").is_file() or not (path / "model.keras").is_file():
        there = ", ".join(map(str, _runs(path.parent) or _runs(Path("runs")))) or "none"
        raise FileNotFoundError(f"no run in {str(path)!r}; there are: {there}")
    return Run(path, _json(path / "run.json"), _json(path / "metrics.json"))


def newest_run(runs="runs") -> Run:
    """The run that was written last; FileNotFoundError where there is none yet."""
    found = _runs(Path(runs))
    if not found:
        raise FileNotFoundError(f"no run yet in {str(runs)!r}; train one with: python train.py")
    return open_run(max(found, key=lambda run: (run / "model.keras").stat().st_mtime))


def load_model(path) -> keras.Model:
    """A `.keras` file; FileNotFoundError for no file, ValueError for one that is no model."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {str(path)!r}")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises a dozen kinds for a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{str(path)!r} cannot be loaded as a Keras model: {reason}") from error


class RunFolder:
    """Where a run in progress is written: `<name>.partial`, which takes the place of `<name>` at the end.

    So an earlier run of the same name is not lost to one that never finished an epoch.
    """

    def __init__(self, runs, dataset: str):
        kind, _, directory = dataset.partition(":")
        self.path = Path(runs) / (f"{kind}-{Path(directory).resolve().name}" if directory else kind)
        self.partial = self.path.with_name(self.path.name + ".partial")

    def begin(self, record: dict, summary: str) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        versions = {package: version(package) for package in PACKAGES}
        self.write("run.json", json.dumps({**record, "versions": versions}, indent=2))
        self.write("summary.txt", summary)
        self.write("metrics.json", "{}")

    def resume(self) -> tuple[keras.Model, list[dict]]:
        """The model of the last finished epoch, with its optimizer, and the history so far."""
        if not self.partial.is_dir() and self.path.is_dir():
            shutil.copytree(self.path, self.partial)
        checkpoint = self.partial / "checkpoint.keras"
        if not checkpoint.is_file():
            raise FileNotFoundError(f"nothing to resume in {str(self.path)!r}; train without --resume first")
        with (self.partial / "history.csv").open(newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        return keras.saving.load_model(checkpoint), rows

    def write(self, name: str, text: str) -> None:
        with atomic_write(self.partial / name) as temporary:
            temporary.write_text(text)

    def save(self, name: str, model: keras.Model) -> None:
        with atomic_write(self.partial / name) as temporary:
            model.save(temporary, include_optimizer=name != "model.keras")

    def has_model(self) -> bool:
        return (self.partial / "model.keras").is_file()

    def publish(self) -> Run:
        """The partial run takes the place of the earlier one."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.partial.replace(self.path)
        return open_run(self.path)


def _runs(folder: Path) -> list[Path]:
    found = sorted(file.parent for file in folder.glob("*/model.keras"))
    return [run for run in found if run.suffix != ".partial" and (run / "run.json").is_file()]


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
