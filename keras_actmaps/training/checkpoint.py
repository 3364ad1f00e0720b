"""The callback that records the run after each epoch."""

import math
from typing import Any

import keras

from keras_actmaps.training.checkpoint_file import Checkpoint, Epoch, model_bytes
from keras_actmaps.training.run_folder import RunFolder


class Diverged(ValueError):
    """The loss is no longer finite."""


class RunCheckpoint(keras.callbacks.Callback):
    """After each epoch, record the history, the state to resume from, and the model if it is the best so far.

    The best epoch is that of the highest validation accuracy and, among several, of the lowest validation loss.

    Keras' own callbacks cannot replace it. ModelCheckpoint compares a single quantity. BackupAndRestore saves weights
    without the compiled model, so that a resumed run would start another learning-rate schedule, and without the seeds
    of random layers. Both, and CSVLogger, write their own files, so that a process that is killed between them leaves
    an epoch in one and not in the other. CSVLogger also fixes its columns at the first epoch, whereas a resumed run may
    add the columns of an explanation.

    Parameters
    ----------
    folder : RunFolder
    history : list of dict
        The epochs so far, to which new ones are appended.
    best_model : bytes
        The model of the best of them, as a `.keras` file.
    """

    def __init__(self, folder: RunFolder, history: list[Epoch], best_model: bytes = b"") -> None:
        super().__init__()
        self.folder, self.history, self.best_model = folder, history, best_model

    def best(self) -> Epoch:
        """The best epoch so far."""
        return max(self.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the epoch to the history and record it; Diverged if its loss is not finite."""
        row = {"epoch": epoch + 1, **{key: float(value) for key, value in (logs or {}).items()}}
        require_finite(row, f"epoch {epoch + 1}")
        self.history.append(row)
        if self.best() is row:
            self.best_model = model_bytes(self.model, self.folder.partial)
        self.folder.commit(Checkpoint(self.model, self.history, self.best_model))


def require_finite(logs: dict[str, float], where: str) -> None:
    """Diverged if a loss among the logs is not finite."""
    for name, value in logs.items():
        if name.endswith("loss") and not math.isfinite(value):
            raise Diverged(f"the {name} of {where} is {value}, so nothing is saved; pass a lower --learning-rate")
