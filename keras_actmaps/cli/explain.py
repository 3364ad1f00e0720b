"""The command explain: from its options to pictures and raw numbers in a folder."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_actmaps import render
from keras_actmaps.bulk.status import status
from keras_actmaps.cli import default
from keras_actmaps.cli.choices import Choice, Mode, parse_choices
from keras_actmaps.cli.figures import FIGURES
from keras_actmaps.cli.inputs import find_target
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.pictures import drawing_of
from keras_actmaps.cli.request import Request
from keras_actmaps.cli.subject import Say, Subject, find_subject, without_model
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.methods import catalogue
from keras_actmaps.methods.supported import supported


def run(options: ExplainOptions, say: Say = print) -> list[Path]:
    """Run the command explain; returns the paths written.

    Raises
    ------
    ValueError, OSError or ImportError
        For errors that the user can correct.
    """
    if options.status:
        say(status(options.status))
        return []
    mode = _mode(options)
    if options.list:
        say(catalogue.listing(mode.table))
        return []
    if options.supported:
        with _say_warnings(say):
            subject = find_subject(options, say)
            say(str(supported(subject.model, layer=_number(options.layer))))
        return []
    mode.validate(options)
    choices = parse_choices(options.method, options.settings, mode.table)
    _reject_channels(choices)
    render.palette(options.colormap or "turbo")
    with _say_warnings(say):
        subject = _subject(options, choices, say)
        written = mode.write(_request(options, subject, say), choices, options)
    say(f"wrote {', '.join(map(str, written))}")
    return written


@contextmanager
def _say_warnings(say: Say) -> Iterator[None]:
    """Print the warnings of this package in one line each."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        say(f"warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module="keras_actmaps")
        warnings.showwarning = show
        yield


def _mode(options: ExplainOptions) -> Mode:
    """The mode; modules that a run does not need are not imported."""
    if options.engine == "tf-explain":
        from keras_actmaps.cli import tf_explain

        return tf_explain.MODE
    if options.all:
        from keras_actmaps.cli import bulk

        return bulk.MODE
    if options.audit:
        from keras_actmaps.cli import audit

        return audit.MODE
    if options.compare:
        from keras_actmaps.cli import compare

        return compare.MODE
    return default.MODE


def _request(options: ExplainOptions, subject: Subject, say: Say) -> Request:
    """The request, with the model traced, the target and the layer found, and the folder created."""
    traced = None if subject.model is None else TracedModel(subject.model)
    target, layer = None, options.layer
    if traced is not None:
        target = find_target(subject, traced, options.target)
        layer = _layer(traced, options.layer)
    return Request(
        subject=subject,
        traced=traced,
        folder=_writable(options.output),
        target=target,
        layer=layer,
        image=options.image,
        inputs=options.inputs,
        index=options.index,
        split=options.split,
        data_dir=options.data_dir,
        colormap=options.colormap,
        drawing=drawing_of(options),
        say=say,
        boxes=options.boxes,
    )


def _layer(traced: TracedModel, layer: str | None) -> str | None:
    """The path of a layer given by its index; any other text unchanged."""
    number = _number(layer)
    return str(traced.at(number).layer) if isinstance(number, int) else layer


def _number(layer: str | None) -> str | int | None:
    """A layer given by its index as an integer; any other text unchanged."""
    try:
        return int(layer or "")
    except ValueError:
        return layer


def _subject(options: ExplainOptions, choices: list[Choice], say: Say) -> Subject:
    """The model; only a data set if there is no run and no method needs a model."""
    try:
        return find_subject(options, say)
    except FileNotFoundError:
        needs_model = any(choice.name not in FIGURES or FIGURES[choice.name].needs_model for choice in choices)
        if options.run or options.model or needs_model:
            raise
        return without_model(options.data_dir, say)


def _reject_channels(choices: list[Choice]) -> None:
    """ValueError for maps with channels, which cannot be drawn."""
    for choice in choices:
        if choice.settings.get("channels") == "keep":
            raise ValueError(
                f"-s channels=keep: the maps of {choice.name} could not be drawn; kam.explain returns them"
            )


def _writable(output: str) -> Path:
    """The output folder, created and tested before any computation; OSError if it is not writable."""
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:  # ValueError for a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise OSError(f"cannot write to {output!r}: {reason}") from error
    return folder
