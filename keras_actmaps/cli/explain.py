"""What explain.py does: asks a model by one method or by all, and writes pictures and raw numbers to a folder."""

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

from keras_actmaps import render
from keras_actmaps.cli import outputs, tf_explain
from keras_actmaps.cli.figures import LOOKS
from keras_actmaps.cli.inputs import Subject, find_subject, find_target, without_model
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.methods import METHODS, registry

ORIGINAL = "original_image.png"
TABLE = {**METHODS, **LOOKS}


def answer(
    method: str = "gradcam",
    run: str | None = None,
    model: str | None = None,
    image: list[str] | None = None,
    index: list[int] | None = None,
    split: str = "test",
    target: str | None = None,
    layer: str | None = None,
    output: str = "outputs",
    colormap: str | None = None,
    alpha: float = 0.5,
    data_dir: str | None = None,
    settings: list[str] = (),
    boxes: str | None = None,
    engine: str = "keras_actmaps",
    compare: bool = False,
    metrics: str | None = None,
    limit: int | None = None,
    say: Callable = print,
) -> list[Path]:
    """Explain, then write; returns the paths written. ValueError or OSError says what the user can mend."""
    table = tf_explain.METHODS if engine == tf_explain.NAME else METHODS if compare else TABLE
    names = parse_names(method, table)
    if engine == tf_explain.NAME:
        tf_explain.check(target, {"--compare": compare, "--boxes": boxes, "--colormap": colormap})
    if compare:
        compare.check(metrics, limit, bool(image or index))
    elif metrics or limit is not None:
        raise ValueError("--metrics and --limit are for --compare")
    given = parse_settings(settings, names, table)
    render.palette(colormap or "turbo")
    if not 0 <= alpha <= 1:
        raise ValueError(f"--alpha {alpha} is outside 0 to 1")
    threshold = parse_threshold(boxes)
    subject = _subject(names, run, model, data_dir, say)
    if layer and layer.lstrip("-").isdigit() and subject.model:
        layer = TracedModel(subject.model, int(layer)).layer
    probe = TracedModel(subject.model) if subject.model else None
    wanted = find_target(subject, probe, target) if probe else None
    asked = Request(subject, probe, _writable(output), wanted, layer, image, index, split, data_dir, colormap, alpha,
                     say, threshold)  # fmt: skip
    everything = method == "all"
    if compare:
        written = compare.write(asked, names, given, metrics, limit, lenient=everything)
    elif engine == tf_explain.NAME:
        written = tf_explain.write(asked, names, given, lenient=everything)
        written = [_originals(asked, ""), *written]
    else:
        explanations, looked = _ask(asked, names, given, lenient=everything)
        more = f"; maps for {outputs.target_in_words(asked)}" if explanations else ""
        written = [_originals(asked, more)] if asked.has_images else []
        written += outputs.write(asked, explanations, sheet=everything) + looked
    say(f"wrote {', '.join(map(str, written))}")
    return written


def _ask(asked: Request, names: list[str], settings: dict, lenient: bool) -> tuple[list[Explanation], list[Path]]:
    """The maps of the methods among the names, and what the looks among them have written.

    lenient: what does not fit is said and left out, instead of a ValueError.
    """
    maps_wanted = any(name in METHODS for name in names)
    images_wanted = maps_wanted or any(hasattr(LOOKS[name], "of_images") for name in names)
    for part, is_wanted in {"probe_at_layer": maps_wanted, "images": images_wanted}.items():
        if is_wanted:
            getattr(asked, part)  # found, or an error, before any work
    explanations, written = [], []
    for name in names:
        own = registry.own_settings(TABLE[name], settings)
        try:
            if name in METHODS:
                explanations.append(outputs.explain(asked, name, own))
            else:
                written += LOOKS[name](asked, **own)
        except ValueError as error:
            if not lenient:
                raise
            asked.say(f"{name} does not fit: {error}")
    return explanations, written


def _originals(asked: Request, more: str) -> Path:
    """The picture of the images alone; what is true and predicted of each is said, and more."""
    figure = render.originals(asked.pixels, asked.titles, asked.subject.notice)
    written = render.save(figure, asked.folder / ORIGINAL)
    for source, title in zip(asked.images.sources, asked.titles):
        asked.say(f"{source}: {', '.join(title.splitlines())}{more}")
    return written


def parse_names(method: str, table: Mapping = TABLE) -> list[str]:
    """`all` or names separated by commas -> names of the table; ValueError for one that there is not."""
    names = list(table) if method == "all" else method.split(",")
    for name in names:
        if name not in table:
            raise ValueError(f"no method {name!r}; there are: {', '.join(table)}")
    return names


def parse_settings(pairs: list[str], names: list[str], table: Mapping = TABLE) -> dict:
    """`["steps=64", "of=saliency"]` -> {"steps": 64, "of": "saliency"}, each a setting of one of the methods."""
    known = {key for name in names for key in registry.settings_of(table[name])}
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"-s {pair!r} is not KEY=VALUE")
        if key not in known:
            raise ValueError(f"{', '.join(names)}: no setting {key!r}; there are: {', '.join(sorted(known)) or 'none'}")
        try:
            settings[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[key] = value
    return settings


def parse_threshold(boxes: str | None) -> float | str | None:
    """`0.15` -> 0.15, `otsu` as it is, None for no boxes; ValueError for what is no threshold."""
    if boxes is None or boxes == "otsu":
        return boxes
    try:
        threshold = float(boxes)
    except ValueError:
        threshold = boxes
    boxes.check_threshold(threshold)
    return threshold


def _subject(names: list[str], run, model, data_dir, say) -> Subject:
    """The model to ask; a data set alone where there is no run and all that is asked for can do without."""
    try:
        return find_subject(run, model, say)
    except FileNotFoundError:
        if run or model or not all(hasattr(LOOKS.get(name), "needs_no_model") for name in names):
            raise
        return without_model(data_dir, say)


def _writable(output: str) -> Path:
    """The output folder, made and tried out before any work; OSError names it."""
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".trial"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise OSError(f"cannot write to {output!r}: {error.strerror}") from error
    return folder
