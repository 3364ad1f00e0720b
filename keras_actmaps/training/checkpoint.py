"""The callback that writes the run folder after each epoch."""

from typing import Any

import keras

from keras_actmaps.training.runs import CHECKPOINT, MODEL, Epoch, RunFolder


class RunCheckpoint(keras.callbacks.Callback):
    """After each epoch, write the history, a checkpoint to resume from, and the model if it is the best so far.

    The best epoch is that of the highest validation accuracy and, among several, of the lowest validation loss.

    Keras' own callbacks cannot replace it. ModelCheckpoint compares a single quantity. BackupAndRestore saves weights
    without the compiled model, so that a resumed run would start another learning-rate schedule. Both write in place,
    so that an interruption leaves a broken file instead of that of the epoch before. CSVLogger fixes its columns at
    the first epoch, whereas a resumed run may add the columns of an explanation.

    Parameters
    ----------
    folder : RunFolder
    history : list of dict
        The epochs so far, to which new ones are appended.
    """

    def __init__(self, folder: RunFolder, history: list[Epoch]) -> None:
        super().__init__()
        self.folder, self.history = folder, history

    def best(self) -> Epoch:
        """The best epoch so far."""
        return max(self.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the epoch to the history and write the files."""
        self.history.append({"epoch": epoch + 1, **{key: float(value) for key, value in (logs or {}).items()}})
        if self.best() is self.history[-1]:
            self.folder.save(MODEL, self.model)
        self.folder.save(CHECKPOINT, self.model)
        self.folder.write_history(self.history)
