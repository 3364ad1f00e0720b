"""The default mode of the command explain: maps by attribution methods, and figures of features."""

from collections.abc import Mapping
from pathlib import Path

from keras_actmaps import render
from keras_actmaps.cli import texts
from keras_actmaps.cli.choices import Choice, Mode
from keras_actmaps.cli.figures import FIGURES
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.outputs import describe_target, explain_by, write_figures, write_maps
from keras_actmaps.cli.pictures import check_drawing, validate_drawing
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.catalogue import Entry

TABLE: Mapping[str, Entry] = {**METHODS, **FIGURES}
ORIGINAL = "original_image.png"


def validate(options: ExplainOptions) -> None:
    """ValueError for options of the other modes."""
    if options.metrics is not None or options.limit is not None:
        raise ValueError("--metrics needs --compare, and --limit needs --compare or --all")
    if options.inputs is not None and options.model is None:
        raise ValueError("--inputs needs --model FILE; a run has data of its own")
    if options.inputs is not None and options.boxes is not None:
        raise ValueError("--boxes needs images; --inputs has none")
    validate_drawing(options)


def write(request: Request, choices: list[Choice], options: ExplainOptions) -> list[Path]:
    """The images, the maps and the figures. If all methods are requested, those that do not fit are skipped."""
    vocabulary = texts.vocabulary_of(request)
    if vocabulary is not None:
        return texts.write(request, choices, options, vocabulary)
    if options.text or options.text_file:
        raise ValueError("--text and --text-file need a run on texts, such as that of train.py --dataset imdb")
    has_maps = any(choice.name in METHODS for choice in choices)
    if has_maps:
        check_drawing(request.drawing, request.traced_at_layer)  # or an error, before any computation
    if has_maps or any(FIGURES[choice.name].needs_images for choice in choices):
        request.images  # noqa: B018
    explanations: list[Explanation] = []
    figures: list[Path] = []
    for choice in choices:
        try:
            if choice.error is not None:
                raise choice.error
            if choice.name in METHODS:
                explanations.append(explain_by(request, choice))
            else:
                if request.inputs:
                    raise ValueError(f"{choice.name} draws images, and --inputs has arrays")
                figures += FIGURES[choice.name].function(request, **choice.settings)
        except ValueError as error:
            if not options.is_everything:
                raise
            request.say(f"{choice.name} does not fit: {error}")
    if request.inputs:
        return [*write_figures(request, explanations), *figures]
    more = f"; maps for {describe_target(request)}" if explanations else ""
    written = [write_originals(request, more)] if request.has_images else []
    return [*written, *write_maps(request, explanations, sheet=options.is_everything), *figures]


def write_originals(request: Request, more: str = "") -> Path:
    """Write a figure of the images alone, and print their true and predicted classes, followed by `more`."""
    figure = render.originals(request.pixels, request.titles, request.subject.notice)
    written = render.save(figure, request.folder / ORIGINAL)
    for source, title in zip(request.images.sources, request.titles):
        request.say(f"{source}: {', '.join(title.splitlines())}{more}")
    return written


MODE = Mode(table=TABLE, validate=validate, write=write)
