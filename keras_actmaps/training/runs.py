"""The runs that training has published, for explaining."""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_actmaps.core.vocabulary import Vocabulary
from keras_actmaps.models.model_files import load_model
from keras_actmaps.training.checkpoint_file import CHECKPOINT

if TYPE_CHECKING:
    from keras_actmaps.data import Data

MODEL, HISTORY, VOCABULARY = "model.keras", "history.csv", "vocabulary.txt"
PARTIAL, EARLIER = ".partial", ".earlier"  # endings of folders: of an unfinished run, and of one that is being replaced
NEAR = 0.1  # of the way from chance to 1
UNSETTLED = 0.05  # of the accuracy

Metrics = dict[str, float]


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

    def vocabulary(self) -> Vocabulary | None:
        """The words of the token ids; None for a run on images."""
        path = self.path / VOCABULARY
        return Vocabulary(tuple(path.read_text(encoding="utf-8").split("\n"))) if path.is_file() else None

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
    path = _published(Path(path))
    if not (path / "run.json").is_file() or not (path / MODEL).is_file():
        existing = ", ".join(map(str, _find_runs(path.parent) or _find_runs(Path("runs")))) or "none"
        raise FileNotFoundError(f"no run in {str(path)!r}; existing runs: {existing}{_unfinished(path.parent)}")
    record, metrics = read_json(path / "run.json"), read_json(path / "metrics.json")
    types: dict[str, Any] = {"dataset": str, "data": dict, "classes": list, "notice": str, "source": str}
    types["scale"] = int | float
    wrong = [name for name, allowed in types.items() if not isinstance(record.get(name), allowed)]
    if wrong:
        raise ValueError(f"{str(path / 'run.json')!r} is not the record of a run: no valid {', '.join(wrong)}")
    return Run(path, record, {name: value for name, value in metrics.items() if isinstance(value, (int, float))})


def newest_run(runs: str | os.PathLike = "runs") -> Run:
    """The most recently written run; FileNotFoundError if there is none."""
    found = _find_runs(Path(runs))
    if not found:
        advice = _unfinished(Path(runs)) or "; train one with: python train.py"
        raise FileNotFoundError(f"no run yet in {str(runs)!r}{advice}")
    return open_run(max(found, key=lambda run: (run / MODEL).stat().st_mtime))


def describe_accuracy(metrics: Metrics) -> str:
    """The accuracy of a run as text for a caption; empty if it is unknown."""
    if "test_accuracy" in metrics:
        return f"test accuracy {metrics['test_accuracy']:.1%}"
    return f"validation accuracy {metrics['val_accuracy']:.1%}" if "val_accuracy" in metrics else ""


def weaknesses(metrics: Metrics) -> list[str]:
    """What the metrics of a run warn of, in one sentence each."""
    found = []
    accuracy, chance = metrics.get("test_accuracy", 1.0), metrics.get("chance", 0.0)
    if accuracy < chance + NEAR * (1 - chance):
        found.append(
            f"the test accuracy, {accuracy:.1%}, is near chance ({chance:.1%} of the test images are of the most "
            "frequent class), so maps say little about the classes"
        )
    moving, batch = metrics.get("moving_accuracy", 0.0), metrics.get("batch_accuracy", 0.0)
    if batch - moving > UNSETTLED:
        found.append(
            f"the accuracy is {moving:.1%} with the moving averages of batch normalization but {batch:.1%} with the "
            "statistics of each batch, so the averages have not settled; train for more epochs or on more images"
        )
    return found


def resume_command(runs: str | os.PathLike, dataset: str) -> str:
    """The command that continues the training of a data set."""
    folder = "" if str(runs) == "runs" else f" --runs {shlex.quote(str(runs))}"
    return f"python train.py --dataset {shlex.quote(dataset)}{folder} --resume"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ValueError if it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{str(path)!r} cannot be read: it contains no JSON object")
    return found


def _find_runs(folder: Path) -> list[Path]:
    """The published runs in a folder."""
    names = {file.parent.name.removesuffix(EARLIER) for file in folder.glob(f"*/{MODEL}")}
    found = [_published(folder / name) for name in sorted(names) if not name.endswith(PARTIAL)]
    return [run for run in found if (run / "run.json").is_file()]


def _published(path: Path) -> Path:
    """Where a run is: in its folder, or in that which replaces it, if the process was killed between two names."""
    if path.exists() or not path.with_name(path.name + EARLIER).is_dir():
        return path
    partial = path.with_name(path.name + PARTIAL)
    return partial if partial.is_dir() else path.with_name(path.name + EARLIER)


def _unfinished(folder: Path) -> str:
    """What to do about a run that was never published; empty if there is none."""
    for partial in sorted(folder.glob(f"*{PARTIAL}")):
        if (partial / CHECKPOINT).is_file() and (partial / "run.json").is_file():
            dataset = str(read_json(partial / "run.json").get("dataset"))
            return f"; {str(partial)!r} is unfinished, continue it with: {resume_command(folder, dataset)}"
    return ""
