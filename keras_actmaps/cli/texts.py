"""The command explain on a run of texts: words with the colors of their values, as HTML and PNG."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.choices import Choice
from keras_actmaps.cli.inputs import find_data
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.progress import progress
from keras_actmaps.core.types import Array
from keras_actmaps.core.vocabulary import Vocabulary, split_words
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.explain import explain

SHEET = "all"


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts that are explained: their words, ids (N, T) and sources, and their classes if known."""

    words: list[list[str]]
    ids: Array
    sources: list[str]
    labels: list[int] | None = None


def vocabulary_of(request: Request) -> Vocabulary | None:
    """The vocabulary of the run; None for a run on images and for model files."""
    return None if request.subject.run is None else request.subject.run.vocabulary()


def write(request: Request, choices: list[Choice], options: ExplainOptions, vocabulary: Vocabulary) -> list[Path]:
    """The maps and the pictures of each method. If all are requested, those that do not fit are skipped."""
    if options.boxes is not None or options.image or options.inputs:
        raise ValueError(
            "--boxes, --image and --inputs do not apply to a run on texts; pass --text, --text-file or --index"
        )
    texts = _texts(request, options, vocabulary)
    titles = _titles(request, texts)
    explanations: list[Explanation] = []
    for choice in choices:
        try:
            explanations.append(_explained(request, choice, texts))
        except ValueError as error:
            if not options.is_everything:
                raise
            request.say(f"{choice.name} does not fit: {error}")
    written = [e.save(request.folder / f"{e.method}.npz") for e in explanations]
    for e in explanations:
        picture = _picture(request, [e], texts, titles)
        written += [picture.save(request.folder / f"{e.method}{suffix}") for suffix in (".html", ".png")]
        if sys.stdout.isatty():
            request.say(picture.terminal)
    if len(explanations) > 1:
        sheet = _picture(request, explanations, texts, titles)
        written += [sheet.save(request.folder / f"{SHEET}{suffix}") for suffix in (".html", ".png")]
    return written


def _explained(request: Request, choice: Choice, texts: Texts) -> Explanation:
    if choice.error is not None:
        raise choice.error
    if choice.name not in METHODS:
        raise ValueError(f"{choice.name} draws images, and this run has texts")
    with progress(choice.name) as report:
        model = request.traced_at_layer
        return explain(model, texts.ids, choice.name, targets=request.target, report=report, **choice.settings)


def _picture(
    request: Request, explanations: list[Explanation], texts: Texts, titles: Sequence[str]
) -> render.TextPicture:
    caption = request.caption("red: for the class, blue: against it; each text has a scale for each method")
    return render.text(explanations, texts.words, classes=request.subject.classes, titles=titles, caption=caption)


def _texts(request: Request, options: ExplainOptions, vocabulary: Vocabulary) -> Texts:
    """The texts of the options; ValueError or OSError if there are none."""
    if options.text:
        return _encoded(request, vocabulary, list(options.text), [f"text {n}" for n in range(len(options.text))])
    if options.text_file:
        lines = [line.strip() for line in _read(options.text_file).splitlines()]
        found = {f"{Path(options.text_file).name}, line {n}": line for n, line in enumerate(lines, start=1) if line}
        if not found:
            raise ValueError(f"--text-file {options.text_file} has no text")
        return _encoded(request, vocabulary, list(found.values()), list(found))
    return _of_split(request, vocabulary, list(options.index or []))


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"--text-file {file} is not UTF-8: {error.reason} at byte {error.start}") from None


def _model(request: Request) -> Any:
    """The model of the run, which texts always have."""
    return request.subject.model


def _of_split(request: Request, vocabulary: Vocabulary, positions: list[int]) -> Texts:
    """The texts at positions of the split; without positions the first one that is classified correctly."""
    found: dict[int, tuple[str, int]] = {}
    first = 0
    for ids, labels, truth in find_data(request.subject, request.data_dir).truth(request.split).as_numpy_iterator():
        rows = [position - first for position in positions if 0 <= position - first < len(ids)]
        if not positions:
            rows = np.flatnonzero(_model(request).predict(ids, verbose=0).argmax(-1) == labels)[:1].tolist()
        found |= {first + row: (truth["text"][row].decode("utf-8", "replace"), int(labels[row])) for row in rows}
        first += len(ids)
        if found and len(found) == len(set(positions or [0])):
            break
    else:
        if not positions:
            raise ValueError(f"no text of the {request.split} split is classified correctly; pass --index or --text")
        raise ValueError(f"--index {max(positions)} is outside the {request.split} split, which has {first} texts")
    order = positions or list(found)
    texts, labels = zip(*(found[position] for position in order))
    sources = [f"{request.split} text {position}" for position in order]
    return _encoded(request, vocabulary, list(texts), sources, list(labels))


def _encoded(
    request: Request, vocabulary: Vocabulary, texts: list[str], sources: list[str], labels: list[int] | None = None
) -> Texts:
    """Texts as ids; ValueError for one without words. What is cut off or unknown is reported."""
    length = request.traced_at_layer.input_parts[0].shape[0]
    words = [split_words(text) for text in texts]
    ids = vocabulary.encode(texts, length)
    for source, own, row in zip(sources, words, ids):
        if not own:
            raise ValueError(f"{source} has no words")
        if len(own) > length:
            request.say(f"{source}: the model reads the first {length} of {len(own)} words")
        if (row == 1).sum() > len(own[:length]) / 2:
            request.say(f"warning: {source}: most of its words are not in the vocabulary")
    return Texts([own[:length] for own in words], ids, sources, labels)


def _titles(request: Request, texts: Texts) -> list[str]:
    """The source, the true and the predicted class of each text, which are printed as well."""
    titles = []
    predicted = _model(request).predict(texts.ids, verbose=0).argmax(-1)
    for number, source in enumerate(texts.sources):
        true = [] if texts.labels is None else [f"true: {request.subject.name(texts.labels[number])}"]
        titles.append(", ".join([source, *true, f"predicted: {request.subject.name(int(predicted[number]))}"]))
        request.say(titles[-1])
    return titles
