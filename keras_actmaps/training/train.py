"""Training into a run folder."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import keras

from keras_actmaps import data as datasets
from keras_actmaps.core.settings import Count, Ge, Gt, Lt, settings_of
from keras_actmaps.data.records import Limit
from keras_actmaps.training.checkpoint import Diverged, RunCheckpoint, require_finite
from keras_actmaps.training.evaluation import evaluate
from keras_actmaps.training.linear_head import fit_head
from keras_actmaps.training.protocols import PROTOCOLS, Protocol, find_protocol, new_model
from keras_actmaps.training.run_folder import RunFolder
from keras_actmaps.training.runs import Run, resume_command, weaknesses
from keras_actmaps.training.setup import Setup, continued, started, summary

__all__ = ["PROTOCOLS", "Diverged", "Interrupted", "Protocol", "find_protocol", "new_model", "train"]

Callbacks = Callable[[datasets.Data, Path], list[keras.callbacks.Callback]]


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the message states what was saved."""


def train(
    dataset: str,
    *,
    backbone: Annotated[
        str | None, "a keras.applications network, squeezenet or text_lstm; None for a small network"
    ] = None,
    weights: Annotated[str | None, "weights of the backbone: a file, 'imagenet' or 'none'"] = None,
    epochs: Annotated[Count | None, "number of epochs; None for that of the data set's protocol"] = None,
    batch_size: Annotated[Count | None, "images per batch; None for that of the protocol"] = None,
    learning_rate: Annotated[
        Annotated[float, Gt(0)] | None, "highest learning rate; None for that of the protocol"
    ] = None,
    limit: Limit = None,
    data_dir: Annotated[str | os.PathLike | None, "folder of TFDS data that is searched first"] = None,
    seed: Annotated[
        Annotated[int, Ge(0), Lt(2**32)] | None, "seed of the weights and of the order of the images; None for 0"
    ] = None,
    runs: Annotated[str | os.PathLike, "the folder of all runs"] = "runs",
    resume: Annotated[bool, "continue after the last finished epoch"] = False,
    say: Callable[[str], Any] = print,
    callbacks: Callbacks | None = None,
    notes: Mapping[str, str] | None = None,
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
        Continue after the last finished epoch, with the settings of the run; only `epochs` may be others. On the same
        machine, the model is that of training that was not interrupted, to the last bit.
    say : callable
        Called with each line of information.
    callbacks : callable, optional
        `callbacks(data, folder)` returns Keras callbacks. Their files in the folder become part of the run, and
        their additions to `logs` part of its history.
    notes : mapping, optional
        Further entries of `run.json`, such as what the callbacks explain.

    Returns
    -------
    Run

    Raises
    ------
    ValueError, FileNotFoundError, DataUnavailable
        Before any training, for invalid settings, files and data.
    BlockingIOError
        If another process is training the same run.
    Diverged
        A ValueError, if the loss is no longer finite; an earlier run is kept.
    Interrupted
        On Ctrl-C; the best model so far is published.
    """
    settings: dict[str, Any] = {"batch_size": batch_size, "learning_rate": learning_rate, "limit": limit, "seed": seed}
    for name, value in {"epochs": epochs, **settings}.items():
        settings_of(train)[name].validate(value)
    is_frozen = _is_frozen(backbone, weights, callbacks)
    settings |= {"model": backbone, "weights": weights}
    path = None if data_dir is None else str(data_dir)
    folder = RunFolder(runs, dataset)
    with folder.locked():
        try:
            if resume:
                setup = continued(folder, epochs, path, settings, notes or {})
            else:
                setup = started(folder, epochs, path, settings, is_frozen, say, notes or {})
        except KeyboardInterrupt:
            raise Interrupted("interrupted before training began; run the same command again") from None
        if callbacks and setup.data.info.vocabulary:
            folder.discard()
            raise ValueError("training on texts cannot be explained after each epoch; explain the finished run")
        say(f"{setup.data.info.source}: {setup.data.info.counts}\n{summary(setup.model)}")
        checkpoint = RunCheckpoint(folder, setup.history, setup.best_model)
        observers = callbacks(setup.data, folder.partial) if callbacks else []
        try:
            return _fit_and_publish(setup, checkpoint, observers, say)
        except (KeyboardInterrupt, Diverged) as stop:
            for callback in observers:
                callback.on_train_end()  # Keras does not call it after an interruption
            if isinstance(stop, Diverged):
                folder.discard()
                raise
            raise Interrupted(_publish_interrupted(folder, checkpoint)) from None


def _is_frozen(backbone: str | None, weights: str | None, callbacks: Callable | None) -> bool:
    """Whether only a head on a frozen backbone is trained; ValueError for arguments that do not apply to it."""
    if weights in (None, "none"):
        return False
    if backbone is None:
        raise ValueError(f"weights={weights!r} need a backbone; pass the backbone too")
    if callbacks:
        raise ValueError(f"training with weights={weights!r} cannot be explained, because only a linear head is fitted")
    return True


def _fit_and_publish(setup: Setup, checkpoint: RunCheckpoint, observers: list, say: Callable[[str], Any]) -> Run:
    """Train for the remaining epochs, evaluate the best model on the test split and publish the run."""
    started = time.monotonic()
    if not setup.is_frozen:
        _fit(setup, checkpoint, observers)
    elif not checkpoint.history:
        checkpoint.set_model(setup.model)
        checkpoint.on_epoch_end(setup.protocol.epochs - 1, fit_head(setup.model, setup.data, setup.protocol))
    metrics = evaluate(checkpoint.best_model, checkpoint.folder.partial, setup.data, not setup.is_frozen)
    require_finite(metrics, "the test split")
    best, seconds = checkpoint.best(), time.monotonic() - started
    metrics |= {"epoch": best["epoch"], "val_accuracy": best["val_accuracy"], "seconds": round(seconds, 1)}
    for warning in weaknesses(metrics):
        say(f"warning: {warning}")
    run = checkpoint.folder.publish(checkpoint.best_model, checkpoint.history, metrics)
    say(
        f"test accuracy {metrics['test_accuracy']:.2%} on {setup.data.info.counts['test']} "
        f"{'texts' if setup.data.info.vocabulary else 'images'} "
        f"(epoch {best['epoch']:.0f}, {seconds:.0f} s); wrote {run.path}"
    )
    return run


def _fit(setup: Setup, checkpoint: RunCheckpoint, observers: list) -> None:
    first, protocol = len(checkpoint.history), setup.protocol
    setup.model.fit(
        setup.data.epochs(first),
        steps_per_epoch=protocol.steps(setup.data.info.counts["train"]),
        validation_data=setup.data.validation,
        initial_epoch=first,
        epochs=protocol.epochs,
        callbacks=[*observers, checkpoint],
        shuffle=False,  # the pipeline shuffles
        verbose=1 if sys.stdout.isatty() else 2,
    )


def _publish_interrupted(folder: RunFolder, checkpoint: RunCheckpoint) -> str:
    """Publish the finished epochs; returns the message for the user."""
    if not checkpoint.history:
        folder.discard()
        return "interrupted before the end of the first epoch; nothing was saved, so train again without --resume"
    best = checkpoint.best()
    metrics = {"epoch": best["epoch"], "val_accuracy": best["val_accuracy"]}
    run = folder.publish(checkpoint.best_model, checkpoint.history, metrics)
    return (
        f"interrupted; the best model so far (epoch {best['epoch']:.0f}, validation accuracy "
        f"{best['val_accuracy']:.2%}) is saved in {run.path}; continue with: "
        f"{resume_command(folder.path.parent, folder.dataset)}"
    )
