"""What explain.py does: asks a model by one method or by all, and writes pictures and raw maps to a folder."""

import ast
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_actmaps import api, methods, render
from keras_actmaps.explanation import Explanation
from keras_actmaps.probe import Probe
from keras_actmaps.subjects import Images, Subject, find_images, find_subject, find_target

ORIGINAL, PANELS, SHEET = "original_image.png", "activation_map.png", "all.png"
PATIENCE = 3  # seconds without a progress bar
MOST_PANELS = 12  # of classes in one picture; where there are more, those of the highest scores


@dataclass(frozen=True)
class Look:
    """How pictures are drawn."""

    colormap: str = "turbo"
    alpha: float = 0.5


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
    colormap: str = "turbo",
    alpha: float = 0.5,
    data_dir: str | None = None,
    settings: list[str] = (),
    say: Callable = print,
) -> list[Path]:
    """Explain, then write; returns the paths written. ValueError or OSError says what the user can mend."""
    names = list(methods.METHODS) if method == "all" else method.split(",")
    given = parse_settings(settings, names)
    render.palette(colormap)
    if not 0 <= alpha <= 1:
        raise ValueError(f"--alpha {alpha} is outside 0 to 1")
    subject = find_subject(run, model, say)
    probe = Probe(subject.model, int(layer) if layer and layer.lstrip("-").isdigit() else layer)
    wanted = find_target(subject, probe, target)
    folder = _writable(output)
    images = find_images(subject, image, index, split, data_dir, say)
    explanations = []
    for name in names:
        try:
            own = {key: value for key, value in given.items() if key in api.defaults(name)}
            with progress(probe, name):
                explanations.append(api.explain(probe, images.arrays, name, targets=wanted, **own))
        except ValueError as error:
            if method != "all":
                raise
            say(f"{name} does not fit: {error}")
    panels = next((e for e in explanations if e.maps.ndim == 4), None)
    if panels is None and any(e.method == "cam" for e in explanations):
        panels = api.explain(probe, images.arrays, "cam", targets="all")
    titles = _titles(subject, images)
    written = _write(subject, images, titles, explanations, panels, folder, Look(colormap, alpha), method == "all")
    for source, title in zip(images.sources, titles):
        say(f"{source}: {', '.join(title.splitlines())}; maps for {_asked(subject, explanations, wanted)}")
    say(f"wrote {', '.join(map(str, written))}")
    return written


@contextmanager
def progress(probe: Probe, method: str):
    """A bar on the terminal while a method takes longer than a few seconds; nothing is left of it."""
    with tqdm(desc=method, delay=PATIENCE, leave=False, disable=None, unit="image") as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done)

        before, probe.report = probe.report, report
        try:
            yield
        finally:
            probe.report = before


def parse_settings(pairs: list[str], names: list[str]) -> dict:
    """`["steps=64", "of=saliency"]` -> {"steps": 64, "of": "saliency"}, each a setting of one of the methods."""
    known = {key for name in names for key in api.defaults(name)}
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


def _titles(subject: Subject, images: Images) -> list[str]:
    outputs = subject.model.predict(images.arrays, verbose=0)
    titles = [f"predicted: {subject.name(int(row.argmax()))}" for row in outputs.reshape(len(outputs), -1)]
    if images.labels is None:
        return titles
    return [f"true: {subject.name(label)}\n{title}" for label, title in zip(images.labels, titles)]


def _asked(subject: Subject, explanations: list[Explanation], wanted) -> str:
    """The target in words."""
    if wanted is None or not explanations:
        return "the predicted class"
    return "all classes" if wanted == "all" else subject.name(wanted)


def _write(subject, images, titles, explanations, panels, folder: Path, look: Look, sheet: bool) -> list[Path]:
    """The image, each method's maps and picture, one panel a class where there are all, and the contact sheet."""
    shown = subject.pixels(images.arrays)
    written = [render.save(render.originals(shown, titles, subject.notice), folder / ORIGINAL)]
    singles = [_single(explanation) for explanation in explanations]
    for explanation, single in zip(explanations, singles):
        written.append(explanation.save(folder / f"{explanation.method}.npz"))
        words = [f"{title}\nmap for {subject.name(int(target))}, logit {score:.1f}"
                 for title, target, score in zip(titles, single.targets, single.scores)]  # fmt: skip
        figure = render.picture(single, shown, words, _caption(subject, single), look.alpha, look.colormap)
        written.append(render.save(figure, folder / f"{explanation.method}.png"))
    if panels is not None:
        written.append(render.save(_panels(subject, shown, titles, panels, look), folder / PANELS))
    if sheet and singles:
        caption = " · ".join(filter(None, ["raw maps, each at its own scale; red for, blue against", subject.notice]))
        figure = render.contact_sheet(singles, shown, titles, caption, look.colormap)
        written.append(render.save(figure, folder / SHEET))
    return written


def _panels(subject: Subject, shown: np.ndarray, titles: list[str], panels: Explanation, look: Look):
    """One panel a class."""
    panels = _highest(panels, MOST_PANELS)
    names = [[f"{subject.name(int(target))}: {score:.1f}" for target, score in zip(*row)]
             for row in zip(panels.targets, panels.scores)]  # fmt: skip
    caption = f"{_caption(subject, panels)} · logits above the maps, one scale for all classes"
    return render.class_panels(panels, shown, titles, names, caption, look.colormap)


def _caption(subject: Subject, explanation: Explanation) -> str:
    at = f"{explanation.method} at layer {explanation.layer}" if explanation.layer else explanation.method
    return " · ".join(filter(None, [at, subject.notice]))


def _highest(explanation: Explanation, count: int) -> Explanation:
    """The `count` targets of the highest scores of each image, in the order of the classes."""
    best = np.sort(np.argsort(-explanation.scores, axis=1)[:, :count], axis=1)
    rows = np.arange(len(best))[:, None]
    return replace(explanation, maps=explanation.maps[rows, best], targets=explanation.targets[rows, best],
                   scores=explanation.scores[rows, best])  # fmt: skip


def _single(explanation: Explanation) -> Explanation:
    """One map an image: of the target of the highest score."""
    if explanation.maps.ndim == 3:
        return explanation
    best = _highest(explanation, 1)
    return replace(best, maps=best.maps[:, 0], targets=best.targets[:, 0], scores=best.scores[:, 0])
