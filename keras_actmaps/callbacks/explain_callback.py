"""ExplainCallback: the maps of a model during training, by any method."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_actmaps.callbacks.history import History
from keras_actmaps.callbacks.image_source import ImageSource, image_source, split_source
from keras_actmaps.callbacks.schedule import parse_schedule
from keras_actmaps.callbacks.snapshot import Snapshot, make_snapshot_request
from keras_actmaps.callbacks.worker import Worker, error_line
from keras_actmaps.comparison.table import duration
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.methods.registry import find_method
from keras_actmaps.render.colors import ALPHA, CONTOURS
from keras_actmaps.render.images import channel_count, check_bands

if TYPE_CHECKING:
    from keras_actmaps.core.event_files import EventWriter
    from keras_actmaps.data.records import Data

Logs = dict[str, Any] | None


class ExplainCallback(keras.callbacks.Callback):
    """Explain the same images repeatedly during `fit`, each time with the current weights.

    Parameters
    ----------
    images : array of shape (N, H, W, C), (N, T, C), (N, F) or (N, D, H, W, C), iterable or str
        Model inputs: images, series, tables or volumes; a tf.data.Dataset or another stream of images or (images,
        labels), of which the first 64 are used; a TFDS split as returned by `tfds.load`; or a split of `kam.data` by
        name, such as "grid:validation[:16]".
    method, layer, batch_size, **settings
        As for `kam.explain`.
    targets : None, int, array of int of shape (N,), "labels" or callable
        None is the currently predicted class; a function of the outputs returns scores (N,).
    every : int or str
        3 or "3 epochs" is after the first epoch of the fit and after every third; "100 batches" is after every
        hundredth batch.
    output : str or Path
        Folder. A snapshot is a picture `epoch-003.png` and the raw maps `epoch-003.npz`; the end of the fit adds
        `strip.png` and `strip.gif`. The strip of a resumed fit starts with the existing snapshots.
    tensorboard : str, Path or None
        Folder for the same pictures and histograms of the maps as TensorBoard events; requires tensorboardX.
    labels : array of int of shape (N,), optional
    classes : sequence of str, optional
    masks : array of bool of shape (N, H, W), optional
        The true classes, the names of all classes and the pixels of the objects, unless `images` includes them.
    metrics : str, iterable of str or None
        Names of `METRICS`, whose means over the images are added to `logs` as `gradcam_energy_pointing`; NaN in epochs
        without a snapshot. None is energy_pointing if masks are known.
    limit : int or None
        Maximum number of images.
    alpha, contours, bands
        How maps are drawn over the images, as for `kam.render.overlay`.
    say : callable
        Called with a one-line summary at the end of the fit.

    Attributes
    ----------
    source : ImageSource
        The images that are explained.
    seconds : list of float
        Duration of each snapshot within the fit.
    closing, drawing : float
        Seconds spent on the strip at the end of the fit, and on the pictures in the background.
    turns : list of int
        The epochs or batches whose snapshots are on disk.
    failures : list of str
        The exceptions that were raised during the fit.

    Raises
    ------
    ValueError
        For unknown names, and for arguments that do not fit the images.
    ImportError
        For `tensorboard` without tensorboardX.

    Notes
    -----
    Callbacks later in the list see the metrics (History always does): pass this one before CSVLogger and
    EarlyStopping(monitor="gradcam_energy_pointing", mode="max").

    The weights after the fit are bit for bit those without the callback. An error during the fit is reported as one
    warning and in the summary; the next snapshot is taken as usual.
    """

    def __init__(
        self,
        images: Any,
        method: str = "gradcam",
        targets: Any = None,
        layer: Any = None,
        every: int | str = 1,
        output: str | Path = "outputs",
        tensorboard: str | Path | None = None,
        labels: Any = None,
        classes: Sequence[str] | None = None,
        masks: Any = None,
        metrics: str | Iterable[str] | None = None,
        limit: int | None = None,
        batch_size: int = 32,
        alpha: float | str = 0.5,
        contours: float | None = None,
        bands: str | Sequence[int] = "mean",
        say: Callable[[str], object] = print,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.schedule = parse_schedule(every)
        self.source: ImageSource = image_source(images, labels, masks, classes, limit)
        self.request = make_snapshot_request(self.source, method, targets, layer, batch_size, metrics, settings)
        style = _style(self.source.images, alpha, contours, bands)
        self.snapshots = History(self.source, Path(output), self.schedule.unit, _event_writer(tensorboard), style)
        self.say = say
        if self.schedule.unit == "batch":  # Keras waits for each batch where this method is defined
            self.on_train_batch_end = self._after_batch
        self._reset()

    def _reset(self) -> None:
        self.seconds: list[float] = []
        self.turns: list[int] = []
        self.failures: list[str] = []
        self.drawing = self.closing = 0.0
        self._worker: Worker | None = None
        self._first: int | None = None  # number of the first possible snapshot of this fit
        self._latest: Explanation | None = None
        self._values: dict[str, float] = {}
        self._epoch_start = self._batches = 0  # batches before this epoch, and until now
        self._has_values = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()
        self._worker = Worker(self._add)
        if self.schedule.unit == "batch":
            iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
            self._epoch_start = self._batches = 0 if iterations is None else int(iterations)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._first is None:
            self._first = epoch + 1 if self.schedule.unit == "epoch" else self._batches + 1
        self._epoch_start, self._values = self._batches, {}

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        before, self._batches = self._batches, self._epoch_start + batch + 1
        if self.schedule.includes(before, self._batches):
            self._take_snapshot(self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        number = epoch + 1
        is_due = number == self._first or self.schedule.includes(epoch, number)
        if self.schedule.unit == "epoch" and is_due:
            self._take_snapshot(number)
        self._has_values = self._has_values or bool(self._values)
        if logs is not None and self._has_values:
            names = [request.metric.name for request in self.request.metrics]
            logs.update({f"{self.request.method}_{name}": self._values.get(name, np.nan) for name in names})

    def on_train_end(self, logs: Logs = None) -> None:
        if self._worker is None:
            return
        started = time.perf_counter()
        worker, self._worker = self._worker, None
        worker.finish()
        self.drawing = worker.seconds
        self._collect_errors(worker)
        written: list[Path] = []
        try:
            written = self._draw_strip()
        except Exception as error:  # of any type: the fit itself has succeeded
            self._fail(error_line(error))
        self.closing = time.perf_counter() - started
        self.say(self._summary(written))

    def wait(self) -> None:
        """Wait until all snapshots are drawn and written; returns immediately before and after a fit."""
        if self._worker is not None:
            self._worker.wait()

    def _take_snapshot(self, number: int) -> None:
        """Explain and measure with the current weights; drawing and writing are left to a thread."""
        started = time.perf_counter()
        worker = self._worker = self._worker or Worker(self._add)
        self._collect_errors(worker)
        try:
            snapshot = self.request.compute(self.model, number)
            self._values, self._latest = dict(snapshot.values), snapshot.explanation
            worker.submit(snapshot)
        except Exception as error:  # of any type: the fit continues
            self._fail(error_line(error))
        self.seconds.append(time.perf_counter() - started)

    def _add(self, snapshot: Snapshot) -> None:
        """Draw and write a snapshot; called in the thread."""
        self.snapshots.add(snapshot)
        self.turns.append(snapshot.number)

    def _draw_strip(self) -> list[Path]:
        """The strip and the film of this fit, and of the fit that it resumes."""
        if self.snapshots.writer is not None:
            self.snapshots.writer.close()
        if not self.turns or self._first is None or self._latest is None:
            return []
        return self.snapshots.finish(self.snapshots.earlier(self._first, self._latest) + self.turns)

    def _collect_errors(self, worker: Worker) -> None:
        while worker.errors:
            self._fail(worker.errors.pop(0))

    def _fail(self, reason: str) -> None:
        self.failures.append(reason)
        if len(self.failures) == 1:
            message = f"ExplainCallback({self.request.method}) failed; training continues: {reason}"
            warnings.warn(message, RuntimeWarning, stacklevel=3)

    def _summary(self, written: Sequence[Path]) -> str:
        """A one-line summary: snapshots, durations, files and failures."""
        count, images = len(self.seconds), len(self.source.images)
        first, *others = self.seconds or [0.0]
        taken = f"{self.request.method}: {count} snapshots of {images} images took {duration(sum(self.seconds))}"
        if others:
            taken += f" ({duration(first)} the first, with compilation; {duration(float(np.mean(others)))} each other)"
        drawn = f"drawn in the background in {duration(self.drawing)}, the strip in {duration(self.closing)}"
        parts = [taken, drawn]
        if written:
            parts.append(f"wrote {', '.join(map(str, written))}")
        parts += [f"{self.failures.count(reason)} failed: {reason}" for reason in dict.fromkeys(self.failures)]
        return "; ".join(parts)


def of_run(names: str) -> Callable[["Data", Path], list[ExplainCallback]]:
    """The callbacks of `train.py --explain gradcam,saliency`: `(data, folder) -> callbacks`, one per method.

    They explain the first 64 validation images for their labels, into `<folder>/explain/<method>/`. Raises ValueError
    for an unknown method.
    """
    methods = names.split(",")
    for method in methods:
        find_method(method)

    def build(data: "Data", folder: Path) -> list[ExplainCallback]:
        source = split_source(data)
        targets = None if source.labels is None else "labels"
        return [ExplainCallback(source, method, targets, output=folder / "explain" / method) for method in methods]

    return build


def _style(images: Array, alpha: float | str, contours: float | None, bands: str | Sequence[int]) -> dict[str, Any]:
    """How maps are drawn; ValueError for what does not fit the images."""
    count = channel_count(images) if images.ndim == 4 else images.shape[-1] if images.ndim > 4 else 0
    if count > 3:
        check_bands(bands, count)
    elif not (isinstance(bands, str) and bands == "mean"):
        raise ValueError("bands needs images with more than three channels")
    return {"alpha": ALPHA.validate(alpha), "contours": CONTOURS.validate(contours), "bands": bands}


def _event_writer(folder: str | Path | None) -> "EventWriter | None":
    if folder is None:
        return None
    from keras_actmaps.core.event_files import EventWriter

    return EventWriter(folder)
