"""GridCallback: base of tf-explain's callbacks, with event files that are written without TensorBoard."""

from datetime import datetime
from pathlib import Path
from typing import Any

import keras

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.explainer import ValidationData


class GridCallback(keras.callbacks.Callback):
    """Write `grid()` under `tag` at the end of each epoch.

    Parameters
    ----------
    validation_data : tuple
        Images (N, H, W, C), and labels, which are not used.
    output_dir : str or Path
        The event file is written to a subfolder named after the time.
    compatible : bool or None
        As for the explainers.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    """

    tag: str

    def __init__(self, validation_data: ValidationData, output_dir: str | Path, compatible: bool | None) -> None:
        from keras_actmaps.core.event_files import EventWriter

        keras.callbacks.Callback.__init__(self)  # not tf-explain's __init__, which creates another event file
        self.validation_data = validation_data
        self.compatible = compatible
        self.output_dir = Path(output_dir) / datetime.now().strftime("%Y%m%d-%H%M%S.%f")
        self.output_dir.mkdir(parents=True, exist_ok=True)
        self.file_writer = EventWriter(self.output_dir)

    def grid(self) -> Array:
        """The picture for the current weights: uint8 (H, W) or (H, W, 3)."""
        raise NotImplementedError

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.file_writer.add(epoch, {self.tag: self.grid()})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.file_writer.close()
