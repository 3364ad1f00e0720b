"""Training into a run folder."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import keras

from keras_actmaps import data as datasets
from keras_actmaps import models
from keras_actmaps.core.settings import Count, Ge, Gt, Lt, settings_of
from keras_actmaps.data.records import Limit
from keras_actmaps.training.checkpoint import RunCheckpoint
from keras_actmaps.training.linear_head import fit_head
from keras_actmaps.training.protocols import HEAD, PROTOCOLS, Protocol, compile_model, find_protocol, new_model
from keras_actmaps.training.runs import MODEL, Run, RunFolder

__all__ = ["PROTOCOLS", "Interrupted", "Protocol", "find_protocol", "new_model", "train"]

Callbacks = Callable[[datasets.Data, Path], list[keras.callbacks.Callback]]


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the message states what was saved."""


def train(
    dataset: str,
    *,
    backbone: Annotated[str | None, "a keras.applications network or squeezenet; None for a small network"] = None,
    weights: Annotated[str | None, "weights of the backbone: a file, 'imagenet' or 'none'"] = None,
    epochs: Annotated[Count | None, "number of epochs; None for that of the data set's protocol"] = None,
    batch_size: Annotated[Count | None, "images per batch; None for that of the protocol"] = None,
    learning_rate: Annotated[
        Annotated[float, Gt(0)] | None, "highest learning rate; None for that of the protocol"
    ] = None,
    limit: Limit = None,
    data_dir: Annotated[str | os.PathLike | None, "folder of TFDS data that is searched first"] = None,
    seed: Annotated[int, Ge(0), Lt(2**32), "seed of the weights and of the order of the images"] = 0,
    runs: Annotated[str | os.PathLike, "the folder of all runs"] = "runs",
    resume: Annotated[bool, "continue after the last finished epoch"] = False,
    say: Callable[[str], Any] = print,
    callbacks: Callbacks | None = None,
) -> Run:
    """Train on a data set and write `runs/<dataset>/`.

    Parameters
    ----------
    dataset : str
        As for `kam.data.load`.
    backbone, weights : str, optional
        As for `kam.models.backbone`. A backbone with weights is frozen, and a linear head is trained on its features.
    epochs, batch_size, learning_rate : optional
        Instead of those of the protocol of the data set.
    limit, data_dir, seed
        As for `kam.data.load`.
    runs : path
        The folder of all runs.
    resume : bool
        Continue after the last finished epoch.
    say : callable
        Called with each line of information.
    callbacks : callable, optional
        `callbacks(data, folder)` returns Keras callbacks. Their files in the folder become part of the run, and
        their additions to `logs` part of its history.

    Returns
    -------
    Run

    Raises
    ------
    ValueError, FileNotFoundError, DataUnavailable
        Before any training, for invalid settings, files and data.
    Interrupted
        On Ctrl-C; the best model so far is published.
    """
    typed = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "limit": limit, "seed": seed}
    for name, value in typed.items():
        settings_of(train)[name].validate(value)
    is_frozen = _is_frozen(backbone, weights, callbacks)
    changes = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "model": backbone}
    protocol = find_protocol(dataset, is_frozen, **changes)
    path = None if data_dir is None else str(data_dir)
    arguments: dict[str, Any] = {"data_dir": path, "batch_size": protocol.batch_size, "seed": seed, "limit": limit}
    if backbone:
        side = models.side(backbone)
        arguments |= {"size": side} if dataset == "pets" or dataset.startswith("folder:") else {}
    keras.utils.set_random_seed(seed)
    data = datasets.load(dataset, **arguments)
    folder = RunFolder(runs, dataset)
    model, history = folder.resume() if resume else (new_model(protocol, weights, data), [])
    summary = _summary(model)
    say(f"{data.info.source}: {data.info.counts}\n{summary}")
    if not resume:
        record = {"dataset": dataset, "data": arguments, "protocol": asdict(protocol), "weights": weights, "seed": seed}
        folder.begin(record | _facts(data.info), summary)
    started = time.monotonic()
    checkpoint = RunCheckpoint(folder, history)
    observers = callbacks(data, folder.partial) if callbacks else []
    try:
        _fit(model, data, protocol, checkpoint, observers, is_frozen)
    except KeyboardInterrupt:
        for callback in observers:
            callback.on_train_end()  # Keras does not call it after an interruption
        raise Interrupted(_publish_interrupted(folder, checkpoint)) from None
    return _finish(folder, checkpoint, data, time.monotonic() - started, say)


def _is_frozen(backbone: str | None, weights: str | None, callbacks: Callable | None) -> bool:
    """Whether only a head on a frozen backbone is trained; ValueError for arguments that do not apply to it."""
    if weights in (None, "none"):
        return False
    if backbone is None:
        raise ValueError(f"weights={weights!r} need a backbone; pass the backbone too")
    if callbacks:
        raise ValueError(f"training with weights={weights!r} cannot be explained, because only a linear head is fitted")
    return True


def _fit(
    model: keras.Model,
    data: datasets.Data,
    protocol: Protocol,
    checkpoint: RunCheckpoint,
    observers: list,
    is_frozen: bool,
) -> None:
    if is_frozen:
        checkpoint.set_model(model)
        checkpoint.on_epoch_end(protocol.epochs - 1, fit_head(model, data, protocol))
        return
    model.fit(
        data.train,
        validation_data=data.validation,
        initial_epoch=len(checkpoint.history),
        epochs=protocol.epochs,
        callbacks=[*observers, checkpoint],
        shuffle=False,  # the pipeline shuffles
        verbose=1 if sys.stdout.isatty() else 2,
    )


def _finish(
    folder: RunFolder, checkpoint: RunCheckpoint, data: datasets.Data, seconds: float, say: Callable[[str], Any]
) -> Run:
    """Evaluate the best model on the test split and publish the run."""
    model = keras.saving.load_model(folder.partial / MODEL, compile=False)
    compile_model(model, HEAD, 1)
    loss, accuracy = model.evaluate(data.test, verbose=0)
    best = checkpoint.best()
    metrics = {
        "test_accuracy": accuracy,
        "test_loss": loss,
        "epoch": best["epoch"],
        "val_accuracy": best["val_accuracy"],
        "seconds": round(seconds, 1),
    }
    folder.write("metrics.json", json.dumps(metrics, indent=2))
    run = folder.publish()
    say(
        f"test accuracy {accuracy:.2%} on {data.info.counts['test']} images (epoch {best['epoch']:.0f}, "
        f"{seconds:.0f} s); wrote {run.path}"
    )
    return run


def _publish_interrupted(folder: RunFolder, checkpoint: RunCheckpoint) -> str:
    """Publish the finished epochs; returns the message for the user."""
    if not folder.has_model():
        return "interrupted before the end of the first epoch; nothing was saved"
    best, run = checkpoint.best(), folder.publish()
    return (
        f"interrupted; the best model so far (epoch {best['epoch']:.0f}, validation accuracy "
        f"{best['val_accuracy']:.2%}) is saved in {run.path}; continue with --resume"
    )


def _facts(info: datasets.Info) -> dict[str, Any]:
    """The facts about the data set that explaining needs."""
    names = ("classes", "image_shape", "scale", "counts", "source", "notice")
    return {name: getattr(info, name) for name in names}


def _summary(model: keras.Model) -> str:
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines)
