"""Training by each data set's protocol, into a run folder."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps import data as datasets
from keras_actmaps.core.files import save_rows
from keras_actmaps.models import zoo
from keras_actmaps.training.runs import Run, RunFolder


@dataclass(frozen=True)
class Protocol:
    """How a model is trained: Adam and cross-entropy, at a constant or a one-cycle learning rate."""

    model: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    one_cycle: bool = False


PROTOCOLS = {
    "grid": Protocol("grid_cnn", epochs=10),
    "drawn-grid": Protocol("grid_cnn", epochs=6, batch_size=32, learning_rate=6e-3, one_cycle=True),
    "cifar10": Protocol("cifar_cnn", epochs=14, learning_rate=4e-3, one_cycle=True),
    "pets": Protocol("pets_cnn", epochs=60, batch_size=32, learning_rate=2e-3, one_cycle=True),
    "folder": Protocol("pets_cnn", epochs=20, batch_size=32, learning_rate=2e-3, one_cycle=True),
}
HEAD = Protocol(
    "backbone", epochs=60, batch_size=256, learning_rate=1e-2, one_cycle=True
)  # one linear layer on pooled features
PENALTY = 1e-2  # L2, of that layer


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the message says what is kept."""


def train(
    dataset: str,
    *,
    backbone: str | None = None,
    weights: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    limit: int | None = None,
    data_dir: str | None = None,
    seed: int = 0,
    runs: str | os.PathLike = "runs",
    resume: bool = False,
    say=print,
    callbacks: Callable | None = None,
) -> Run:
    """Train on a data set and write `runs/<dataset>/`; a backbone with weights is frozen and gets a linear head.

    callbacks: (data, folder) -> Keras callbacks that look on; what they write to the folder is part of the run, and
        what they add to `logs` of its history.
    Raises ValueError, FileNotFoundError or DataUnavailable for what the caller can mend, Interrupted on Ctrl-C.
    """
    frozen = weights not in (None, "none")
    if frozen and backbone is None:
        raise ValueError(f"weights={weights!r} are those of a backbone, and none is named")
    if frozen and callbacks:
        raise ValueError(f"with weights={weights!r} a linear head is fitted on its own, and there is no fit to look at")
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "model": backbone}
    chosen = protocol(dataset, frozen, **{name: value for name, value in given.items() if value is not None})
    keras.utils.set_random_seed(seed)
    arguments = {"data_dir": data_dir, "batch_size": chosen.batch_size, "seed": seed, "limit": limit}
    if backbone and (dataset == "pets" or dataset.startswith("folder:")):
        arguments["size"] = zoo.side(backbone)
    data = datasets.load(dataset, **arguments)
    folder = RunFolder(runs, dataset)
    model, history = folder.resume() if resume else (new_model(chosen, weights, data), [])
    summary = _summary(model)
    say(f"{data.info.source}: {data.info.counts}\n{summary}")
    if not resume:
        record = {"dataset": dataset, "data": arguments, "protocol": asdict(chosen), "weights": weights, "seed": seed}
        folder.begin(record | _facts(data.info), summary)
    started = time.monotonic()
    keep = KeepBest(folder, history)
    others = callbacks(data, folder.partial) if callbacks else []
    try:
        _fit_head(model, data, chosen, keep) if frozen else _fit(model, data, chosen, keep, others)
    except KeyboardInterrupt:
        for callback in others:
            callback.on_train_end()  # which Keras does not call then
        raise Interrupted(_interrupted(folder, keep)) from None
    return _finish(folder, keep, data, time.monotonic() - started, say)


def protocol(dataset: str, frozen: bool = False, **given) -> Protocol:
    """The protocol of a data set, or of a linear head on a frozen backbone, with what is given instead."""
    chosen = replace(HEAD if frozen else PROTOCOLS.get(dataset, PROTOCOLS["folder"]), **given)
    for name in ("epochs", "batch_size", "learning_rate"):
        if getattr(chosen, name) <= 0:
            raise ValueError(f"{name}={getattr(chosen, name)} trains nothing; give a number above 0")
    return chosen


def new_model(protocol: Protocol, weights, data: datasets.Data) -> keras.Model:
    """The compiled model of a protocol; `weights` are those of a backbone."""
    info = data.info
    if protocol.model in zoo.MODELS:
        model = zoo.MODELS[protocol.model](info.image_shape, len(info.classes))
    elif info.image_shape[-1] != 3:
        raise ValueError(f"backbone {protocol.model!r} needs colour images; those of {info.name!r} are grey")
    else:
        white = 255.0 / info.scale
        model = zoo.backbone(protocol.model, weights, len(info.classes), info.image_shape, white)
    _compile(model, protocol, info.counts["train"])
    return model


def _compile(model: keras.Model, protocol: Protocol, images: int) -> None:
    rate = protocol.learning_rate
    if protocol.one_cycle:
        steps = protocol.epochs * -(-images // protocol.batch_size)
        warmup = max(1, steps // 5)
        rate = keras.optimizers.schedules.CosineDecay(
            rate / 10, max(1, steps - warmup), alpha=1e-3, warmup_target=rate, warmup_steps=warmup
        )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA, which "auto" picks, is slower than a graph on a CPU.
    jit = "auto" if backend.xla_by_default() else False
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"], jit_compile=jit)


class KeepBest(keras.callbacks.Callback):
    """After each epoch: the history, a checkpoint to resume from, and the model if it is the best so far."""

    def __init__(self, folder: RunFolder, history: list[dict]):
        super().__init__()
        self.folder, self.history = folder, history

    def best(self) -> dict:
        """The epoch of the highest validation accuracy, of several that of the lowest loss."""
        return max(self.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({"epoch": epoch + 1, **{key: float(value) for key, value in logs.items()}})
        if self.best() is self.history[-1]:
            self.folder.save("model.keras", self.model)
        self.folder.save("checkpoint.keras", self.model)
        names = dict.fromkeys(name for row in self.history for name in row)
        rows = ([row.get(name, np.nan) for name in names] for row in self.history)
        save_rows(self.folder.partial / "history.csv", [list(names), *rows])


def _fit(model: keras.Model, data: datasets.Data, protocol: Protocol, keep: KeepBest, others: list) -> None:
    model.fit(
        data.train,
        validation_data=data.validation,
        initial_epoch=len(keep.history),
        epochs=protocol.epochs,
        callbacks=[*others, keep],
        shuffle=False,  # the pipeline has done it
        verbose=1 if sys.stdout.isatty() else 2,
    )


def _fit_head(model: keras.Model, data: datasets.Data, protocol: Protocol, keep: KeepBest) -> None:
    """The linear layer alone, on the pooled features of the images and of their mirror images, computed once.

    It is fitted to standardised features, with a penalty chosen on the pets' validation split; the standardisation is
    then folded into its weights.
    """
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)
    train = _features(pooled, data.truth("train")), _features(pooled, data.truth("train"), mirrored=True)
    features, labels = (np.concatenate(part) for part in zip(*train))
    held_out, held_out_labels = _features(pooled, data.truth("validation"))
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    penalty = keras.regularizers.L2(PENALTY)
    head = keras.Sequential(
        [keras.Input(mean.shape), keras.layers.Dense(len(data.info.classes), kernel_regularizer=penalty)]
    )
    _compile(head, protocol, len(features))
    fitted = head.fit(
        (features - mean) / deviation, labels, protocol.batch_size, protocol.epochs, verbose=0,
        validation_data=((held_out - mean) / deviation, held_out_labels),
    )  # fmt: skip
    kernel, bias = head.layers[-1].get_weights()
    kernel = kernel / deviation[:, None]
    model.get_layer("logits").set_weights([kernel, bias - mean @ kernel])
    keep.set_model(model)
    keep.on_epoch_end(protocol.epochs - 1, {name: values[-1] for name, values in fitted.history.items()})


def _features(pooled: keras.Model, batches, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features (N,C) and labels (N,) of batches of (images, labels, truth)."""
    found = []
    for images, labels, _ in batches.prefetch(2).as_numpy_iterator():
        found.append((pooled.predict_on_batch(images[:, :, ::-1] if mirrored else images), labels))
    return tuple(np.concatenate(part) for part in zip(*found))


def _finish(folder: RunFolder, keep: KeepBest, data: datasets.Data, seconds: float, say) -> Run:
    best = keras.saving.load_model(folder.partial / "model.keras", compile=False)
    _compile(best, HEAD, 1)
    loss, accuracy = best.evaluate(data.test, verbose=0)
    metrics = {"test_accuracy": accuracy, "test_loss": loss, "epoch": keep.best()["epoch"],
               "val_accuracy": keep.best()["val_accuracy"], "seconds": round(seconds, 1)}  # fmt: skip
    folder.write("metrics.json", json.dumps(metrics, indent=2))
    run = folder.publish()
    say(f"test accuracy {accuracy:.2%} on {data.info.counts['test']} images (epoch {metrics['epoch']:.0f}, "
        f"{seconds:.0f} s); wrote {run.path}")  # fmt: skip
    return run


def _interrupted(folder: RunFolder, keep: KeepBest) -> str:
    if not folder.has_model():
        return "interrupted before the first epoch was over; nothing new is kept"
    best, run = keep.best(), folder.publish()
    return (f"interrupted; the best model so far (epoch {best['epoch']:.0f}, validation accuracy "
            f"{best['val_accuracy']:.2%}) is kept in {run.path}; go on with --resume")  # fmt: skip


def _facts(info: datasets.Info) -> dict:
    """What explaining needs to know about the data."""
    return {"classes": info.classes, "image_shape": info.image_shape, "scale": info.scale, "counts": info.counts,
            "source": info.source, "notice": info.notice}  # fmt: skip


def _summary(model: keras.Model) -> str:
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines)
