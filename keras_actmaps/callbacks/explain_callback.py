"""ExplainCallback: where a model looks while it is fitted, by any method."""

import re
import time
import warnings
from pathlib import Path

import keras
import numpy as np

from keras_actmaps.callbacks.history import History
from keras_actmaps.callbacks.image_source import image_source, of_split
from keras_actmaps.callbacks.snapshot import Snapshot, snapshot_request
from keras_actmaps.callbacks.worker import Worker, error_line
from keras_actmaps.comparison.table import duration
from keras_actmaps.methods.registry import find_method

EVERY = re.compile(r"(\d+) ?(epoch|batch)(?:es|s)?")


class ExplainCallback(keras.callbacks.Callback):
    """Explain the same images again and again during `fit`, each time with the weights of that moment.

    images: (N,H,W,C) as the model takes them; a tf.data.Dataset or another stream of images or (images, labels), of
        which the first 64 are taken; a TFDS split as `tfds.load` gives it; or a split of `kam.data` by name, as
        "grid:validation[:16]". limit: the most images.
    method, layer, batch_size, settings: as for `kam.explain`.
    targets: None = the class predicted at that moment; a class; (N,) classes; "labels"; or a function of the outputs.
    every: 3 or "3 epochs" = after the fit's first epoch and every third; "100 batches" = after every hundredth batch.
    output: a folder. Each turn writes `epoch-003.png` and the raw maps, `epoch-003.npz`; the end of the fit `strip.png`
        and `strip.gif`. Where a fit is resumed, the strip begins with the turns that are there already.
    tensorboard: a folder for the same pictures and histograms of the maps, in TensorBoard's form; needs TensorFlow.
    labels, classes, masks: the true classes (N,), the names of all classes, the objects as bool (N,H,W), where the
        images do not bring them.
    metrics: names of `METRICS`, whose means over the images are added to `logs` as `gradcam_energy_pointing`; None =
        energy_pointing where masks are known. Callbacks further down the list see them (History always does), so put
        this one before CSVLogger and EarlyStopping(monitor="gradcam_energy_pointing", mode="max"). NaN in epochs
        without a turn.

    The fit is that without the callback, bit for bit. What fails after it has begun is one warning, is tried again at
    the next turn, and is told at the end. Afterwards `seconds` holds what each turn has taken of the fit's time,
    `closing` what the end took, with the strip, `drawing` the seconds that a thread has drawn and written meanwhile,
    `turns` the numbers of the turns on disk, `failures` what has failed. Raises ValueError for what does not fit,
    ImportError for `tensorboard` without TensorFlow.
    """

    def __init__(
        self, images, method="gradcam", targets=None, layer=None, every=1, output="outputs", tensorboard=None,
        labels=None, classes=None, masks=None, metrics=None, limit=None, batch_size=32, say=print, **settings,
    ):  # fmt: skip
        super().__init__()
        self.every, kind = _every(every)
        watched = image_source(images, labels, masks, classes, limit)
        self.asked = snapshot_request(watched, method, targets, layer, batch_size, metrics, settings)
        self.album = History(watched, Path(output), kind, _events(tensorboard))
        self.say = say
        if kind == "batch":  # which Keras waits for after each batch, where there is such a method
            self.on_train_batch_end = self._after_batch
        self._begin()

    def _begin(self) -> None:
        self.seconds, self.turns, self.failures, self.drawing, self.closing = [], [], [], 0.0, 0.0
        self._first = self._latest = self._behind = None
        self._done = self._passed = 0
        self._known = False

    def on_train_begin(self, logs=None):
        self._begin()
        self._behind = Worker(self._keep)
        if self.album.kind == "batch":
            iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
            self._done = self._passed = 0 if iterations is None else int(iterations)

    def on_epoch_begin(self, epoch, logs=None):
        if self._first is None:
            self._first = epoch + 1 if self.album.kind == "epoch" else self._passed + 1
        self._done, self._values = self._passed, {}

    def _after_batch(self, batch, logs=None):
        before, self._passed = self._passed, self._done + batch + 1
        if self._passed // self.every > before // self.every:
            self._turn(self._passed)

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        if self.album.kind == "epoch" and (number == self._first or number % self.every == 0):
            self._turn(number)
        self._known = self._known or bool(self._values)
        if logs is not None and self._known:
            logs.update({f"{self.asked.method}_{name}": self._values.get(name, np.nan) for name in self.asked.metrics})

    def on_train_end(self, logs=None):
        if self._behind is None:
            return
        started = time.perf_counter()
        self._behind.finish()
        self.drawing = self._behind.seconds
        self._heed()
        try:
            written = self._close()
        except Exception as error:  # whatever it is, the fit has gone well
            written = []
            self._fail(error_line(error))
        self._behind, self.closing = None, time.perf_counter() - started
        self._tell(written)

    def wait(self) -> None:
        """Until all that was explained is drawn and written."""
        self._behind.wait()

    def _turn(self, number: int) -> None:
        """Explain with the weights of now and measure; what is drawn and written is left to a thread."""
        started = time.perf_counter()
        self._heed()
        try:
            turn = self.asked.answer(self.model, number)
            self._values, self._latest = turn.values, turn.explanation
            self._behind.hand(turn)
        except Exception as error:  # whatever it is, the fit goes on
            self._fail(error_line(error))
        self.seconds.append(time.perf_counter() - started)

    def _keep(self, turn: Snapshot) -> None:
        self.album.keep(turn)
        self.turns.append(turn.number)

    def _close(self) -> list[Path]:
        """The strip and the film, of this fit and of what it resumes."""
        if self.album.events is not None:
            self.album.events.close()
        earlier = self.album.earlier(self._first, self._latest) if self.turns else []
        return self.album.close(earlier + self.turns)

    def _heed(self) -> None:
        """What has failed in the thread."""
        while self._behind.errors:
            self._fail(self._behind.errors.pop(0))

    def _fail(self, reason: str) -> None:
        self.failures.append(reason)
        if len(self.failures) == 1:
            warnings.warn(f"ExplainCallback({self.asked.method}) failed, and the fit goes on: {reason}", RuntimeWarning,
                          stacklevel=3)  # fmt: skip

    def _tell(self, written: list[Path]) -> None:
        """What was done, what it took, and what has failed."""
        first, *others = self.seconds or [0.0]
        each = f", {duration(first)} the first, which compiles, {duration(np.mean(others))} any other" if others else ""
        words = [f"{self.asked.method}: {len(self.seconds)} turns of {len(self.asked.watched.images)} images took "
                 f"{duration(sum(self.seconds))}{each}", f"drawn meanwhile in {duration(self.drawing)}, the strip in "
                 f"{duration(self.closing)}"]  # fmt: skip
        words += [f"wrote {', '.join(map(str, written))}"] if written else []
        words += [f"{self.failures.count(reason)} failed: {reason}" for reason in dict.fromkeys(self.failures)]
        self.say("; ".join(words))


def of_run(names: str):
    """What `train.py --explain` asks for: (data, folder) -> a callback for each method; ValueError names the choices.

    The first 64 validation images and their own labels, with what the data knows of them, into `<folder>/explain/`.
    """
    chosen = names.split(",")
    for name in chosen:
        find_method(name)

    def build(data, folder: Path) -> list[ExplainCallback]:
        images = of_split(data)
        targets = None if images.labels is None else "labels"
        return [ExplainCallback(images, name, targets, output=folder / "explain" / name) for name in chosen]

    return build


def _every(every) -> tuple[int, str]:
    """3, "3 epochs" or "100 batches" -> how many, and of what."""
    parts = EVERY.fullmatch(every if isinstance(every, str) else f"{every} epochs")
    if parts is None or isinstance(every, bool) or int(parts[1]) < 1:
        raise ValueError(f"every={every!r} is no number of epochs from 1 up, nor of batches, as in '100 batches'")
    return int(parts[1]), parts[2]


def _events(folder):
    if folder is None:
        return None
    from keras_actmaps.callbacks.tensorboard import Events

    return Events(folder)
