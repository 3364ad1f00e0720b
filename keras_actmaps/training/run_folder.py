"""The folder of a run in progress, which is complete or recoverable whenever the process is killed."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras

from keras_actmaps.core.files import atomic_write, save_rows, save_text
from keras_actmaps.training.checkpoint_file import CHECKPOINT, Checkpoint, Epoch, read_checkpoint, write_checkpoint
from keras_actmaps.training.lock import exclusive
from keras_actmaps.training.runs import EARLIER, HISTORY, MODEL, PARTIAL, Run, open_run, read_json, resume_command

PACKAGES = tuple(dict.fromkeys(("keras", keras.backend.backend(), "tensorflow", "tensorflow-datasets", "numpy")))


class RunFolder:
    """The folder of a run in progress: `<name>.partial`, which replaces `<name>` when it is published.

    An earlier run of the same name is therefore not lost to one that never finished an epoch. All that an epoch changes
    is in one file, the checkpoint, which is replaced as a whole; the other files are written from it. A folder is
    removed under another name, and copied before it gets its name, so that none is ever seen in part. `locked` puts in
    order what a killed process has left.
    """

    def __init__(self, runs: str | os.PathLike, dataset: str) -> None:
        name, _, directory = dataset.partition(":")
        self.path = Path(runs) / (f"{name}-{Path(directory).expanduser().resolve().name}" if directory else name)
        self.dataset = dataset
        self.partial = self._beside(self.path.name + PARTIAL)
        self._earlier = self._beside(self.path.name + EARLIER)
        self._copy, self._removed = (self._beside(f".{self.path.name}.{word}") for word in ("copy", "removed"))

    def _beside(self, name: str) -> Path:
        return self.path.with_name(name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from this run; BlockingIOError if another one is writing it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        busy = f"another training is writing {str(self.path)!r}; wait until it ends, or pass another folder as --runs"
        with exclusive(self._beside(f".{self.path.name}.lock"), busy):
            self._recover()
            yield

    def _recover(self) -> None:
        """Finish what a killed process has begun, and remove its temporary files."""
        if self._earlier.is_dir() and not self.path.exists():
            (self.partial if self.partial.is_dir() else self._earlier).rename(self.path)
        for left in (self._earlier, self._copy, self._removed):
            if left.is_dir():
                self._remove(left)
        if self.partial.is_dir():
            for temporary in [path for path in self.partial.rglob(".*") if not path.is_dir()]:
                temporary.unlink()

    def _remove(self, folder: Path) -> None:
        """Remove a folder, which disappears at once."""
        if folder != self._removed:
            if self._removed.is_dir():
                shutil.rmtree(self._removed)
            folder.rename(self._removed)
        shutil.rmtree(self._removed)

    def begin(self, record: dict[str, Any], summary: str) -> None:
        """Create an empty folder with the record of the run."""
        self.discard()
        self.partial.mkdir(parents=True)
        self.write_record(record)
        self.write("summary.txt", summary)
        self.write("metrics.json", "{}")

    def discard(self) -> None:
        """Remove the unfinished run, if any."""
        if self.partial.is_dir():
            self._remove(self.partial)

    def recorded(self) -> dict[str, Any]:
        """The record of the run that `resume` would continue; empty if there is none."""
        path = (self.partial if self.has_checkpoint() else self.path) / "run.json"
        return read_json(path) if path.is_file() else {}

    def resume(self) -> tuple[dict[str, Any], Checkpoint]:
        """The record of a run, and its state after the last finished epoch.

        An unfinished run is preferred to a published one, which is copied.

        Raises
        ------
        FileNotFoundError
            If there is no checkpoint.
        ValueError
            If it cannot be read.
        """
        if not self.has_checkpoint():
            if not (self.path / CHECKPOINT).is_file():
                first = resume_command(self.path.parent, self.dataset).removesuffix(" --resume")
                raise FileNotFoundError(f"nothing to resume in {str(self.path)!r}; train first with: {first}")
            shutil.copytree(self.path, self._copy)
            self.discard()
            self._copy.rename(self.partial)
        return read_json(self.partial / "run.json"), read_checkpoint(self.partial / CHECKPOINT)

    def has_checkpoint(self) -> bool:
        """Whether there is an unfinished run that has finished an epoch."""
        return (self.partial / CHECKPOINT).is_file()

    def commit(self, state: Checkpoint) -> None:
        """Record the state after an epoch; it is either recorded as a whole or not at all."""
        write_checkpoint(self.partial / CHECKPOINT, state)
        self.write_history(state.history)

    def write(self, name: str, text: str) -> None:
        """Write a text file."""
        save_text(self.partial / name, text)

    def write_record(self, record: dict[str, Any]) -> None:
        """Write `run.json`, with the versions of the packages in use."""
        self.write("run.json", json.dumps({**record, "versions": _versions()}, indent=2))

    def write_history(self, history: Sequence[Epoch]) -> None:
        """Write `history.csv`, with NaN for columns that an epoch does not have."""
        names = list(dict.fromkeys(name for epoch in history for name in epoch))
        save_rows(self.partial / HISTORY, [names, *([epoch.get(name, "nan") for name in names] for epoch in history)])

    def publish(self, best: bytes, history: Sequence[Epoch], metrics: dict[str, Any]) -> Run:
        """Replace the earlier run of the same name by this one, with its best model."""
        if self.partial.is_dir():  # otherwise an interruption came between publishing and its message
            with atomic_write(self.partial / MODEL) as temporary:
                temporary.write_bytes(best)
            self.write_history(history)
            self.write("metrics.json", json.dumps(metrics, indent=2))
            if self.path.exists():
                self.path.rename(self._earlier)
            self.partial.rename(self.path)
        if self._earlier.is_dir():
            self._remove(self._earlier)
        return open_run(self.path)


def _versions() -> dict[str, str]:
    """The versions of the packages in use; those under another name, such as tensorflow-cpu, are omitted."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
