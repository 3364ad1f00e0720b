"""What explain.py does: from a run or a model, images and a target to pictures and raw maps in a folder."""

import ast
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from keras_actmaps import api, methods, models, render, runs
from keras_actmaps import data as datasets
from keras_actmaps.explanation import Explanation
from keras_actmaps.probe import Probe

ORIGINAL, PANELS = "original_image.png", "activation_map.png"
MOST_PANELS = 12  # of classes in one picture; where there are more, those of the highest scores


@dataclass(frozen=True)
class Subject:
    """What is asked: a model, and what is known of its classes and of its images, which are `pixel / scale`."""

    model: keras.Model
    classes: tuple[str, ...] = ()
    scale: float = 255.0
    notice: str = ""
    run: runs.Run | None = None

    def name(self, target: int) -> str:
        return self.classes[target] if target < len(self.classes) else f"class {target}"


@dataclass(frozen=True)
class Images:
    """Images as the model takes them, where each comes from, and its class where that is known."""

    arrays: np.ndarray
    sources: list[str]
    labels: list[int] | None = None


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
    say=print,
) -> list[Path]:
    """Explain and write; returns the paths written. ValueError or OSError says what the user can mend."""
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
    outputs = subject.model.predict(images.arrays, verbose=0)
    titles = _titles(subject, images, outputs)
    written = [render.save(render.originals(_pixels(subject, images), titles, subject.notice), folder / ORIGINAL)]
    for name in names:
        own = {key: value for key, value in given.items() if key in api.defaults(name)}
        try:
            explanation = api.explain(probe, images.arrays, name, targets=wanted, **own)
        except ValueError as error:
            if method != "all":
                raise
            say(f"{name} does not fit: {error}")
            continue
        look = Look(colormap, alpha)
        written += _draw(subject, images, titles, explanation, folder, look)
        if name == "cam" and wanted != "all":
            explanation = api.explain(probe, images.arrays, name, targets="all", **own)
        if explanation.maps.ndim == 4 and folder / PANELS not in written:
            written.append(_draw_panels(subject, images, titles, explanation, folder, look))
    for source, title in zip(images.sources, titles):
        say(f"{source}: {', '.join(title.splitlines())}")
    say(f"wrote {', '.join(map(str, written))}")
    return written


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


def find_subject(run: str | None, model: str | None, say) -> Subject:
    """The model to ask: of a run, from a file, or a keras.applications network with ImageNet weights."""
    if run and model:
        raise ValueError("give --run or --model, not both")
    if model is None:
        found = runs.open_run(run) if run else runs.newest_run()
        record = found.record
        say(f"run {found.path}: {record['source']}")
        return Subject(found.model(), tuple(record["classes"]), record["scale"], record["notice"], found)
    if model.endswith((".keras", ".h5")) or Path(model).exists():
        loaded = runs.load_model(model)
        rescales = any(isinstance(layer, keras.layers.Rescaling) for layer in loaded.layers[:3])
        say(f"{model}: classes have no names; images are given in 0..{255 if rescales else 1}")
        return Subject(loaded, scale=1.0 if rescales else 255.0)
    return Subject(models.backbone(model, "imagenet"), models.imagenet_classes(), scale=1.0)


def find_target(subject: Subject, probe: Probe, target: str | None):
    """A class by name or number, "all" or None, as `explain` takes it."""
    if target is None or target == "all":
        return target
    if target.lstrip("-").isdigit():
        return int(probe.targets(int(target), 1)[0])
    named = {name.lower(): number for number, name in enumerate(subject.classes)}
    if target.lower() not in named:
        choices = ", ".join(subject.classes) or f"0 to {(probe.classes or 1) - 1}"
        raise ValueError(f"no class {target!r}; there are: {choices}")
    return named[target.lower()]


def find_images(subject: Subject, files, index, split: str, data_dir, say) -> Images:
    """Images from files, by their places in a split of the run's data, or the first that is classified correctly."""
    if files and index:
        raise ValueError("give --image or --index, not both")
    shape = subject.model.input_shape
    if files:
        return Images(np.stack([_from_file(subject, file, shape, say) for file in files]), list(files))
    if subject.run is None:
        raise ValueError("a --model without a run has no data of its own; give --image FILE")
    record = subject.run.record
    settings = record["data"] | ({"data_dir": data_dir} if data_dir else {})
    batches = datasets.load(record["dataset"], **settings).truth(split)
    places = sorted(index) if index else None
    if places and places[0] < 0:
        raise ValueError(f"--index {places[0]} is below 0")
    found, first = {}, 0
    for images, labels, _ in batches.as_numpy_iterator():
        if places is None:
            predicted = subject.model.predict(images, verbose=0).argmax(-1)
            wanted = list(first + np.flatnonzero(predicted == labels))[:1]
        else:
            wanted = [place for place in places if first <= place < first + len(images)]
        found |= {place: (images[place - first], int(labels[place - first])) for place in wanted}
        first += len(images)
        if found and (places is None or len(found) == len(set(places))):
            break
    else:
        if places is None:
            raise ValueError(f"no image of the {split} split is classified correctly; give --index or --image")
        raise ValueError(f"--index {places[-1]} is outside the {split} split, which has {first} images")
    order = index or list(found)
    arrays, labels = zip(*(found[place] for place in order))
    return Images(np.stack(arrays), [f"{split} image {place}" for place in order], list(labels))


def _from_file(subject: Subject, file: str, shape: tuple, say) -> np.ndarray:
    """A file's image as the model takes it; what is changed about it is said."""
    image = render.read(file)
    wanted = tuple(want or side for want, side in zip(shape[1:], (*image.shape[:2], 3)))
    if image.shape[:2] != wanted[:2]:
        say(f"{file}: resized from {image.shape[1]}x{image.shape[0]} to {wanted[1]}x{wanted[0]} pixels")
    if image.shape[-1] != wanted[-1]:
        say(f"{file}: turned from {'grey to colour' if wanted[-1] == 3 else 'colour to grey'}")
    return render.fit(image, wanted).astype("float32") / np.float32(subject.scale)


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


def _pixels(subject: Subject, images: Images) -> np.ndarray:
    return np.clip(np.rint(images.arrays * subject.scale), 0, 255).astype("uint8")


def _titles(subject: Subject, images: Images, outputs: np.ndarray) -> list[str]:
    titles = [f"predicted: {subject.name(int(row.argmax()))}" for row in outputs.reshape(len(outputs), -1)]
    if images.labels is None:
        return titles
    return [f"true: {subject.name(label)}\n{title}" for label, title in zip(images.labels, titles)]


def _draw(subject, images, titles, explanation: Explanation, folder: Path, look: Look) -> list[Path]:
    """The raw maps and the picture of one target an image: the one asked for, or that of the highest score."""
    written = [explanation.save(folder / f"{explanation.method}.npz")]
    shown = explanation
    if explanation.maps.ndim == 4:
        shown = _highest(explanation, 1)
        shown = replace(shown, maps=shown.maps[:, 0], targets=shown.targets[:, 0], scores=shown.scores[:, 0])
    titles = [f"{title}\nmap for {subject.name(int(target))}, logit {score:.1f}"
              for title, target, score in zip(titles, shown.targets, shown.scores)]  # fmt: skip
    figure = render.picture(
        shown, _pixels(subject, images), titles, _caption(subject, shown), look.alpha, look.colormap
    )
    return [*written, render.save(figure, folder / f"{explanation.method}.png")]


def _draw_panels(subject, images, titles, explanation: Explanation, folder: Path, look: Look) -> Path:
    """One panel a class."""
    shown = _highest(explanation, MOST_PANELS)
    names = [[f"{subject.name(int(target))}: {score:.1f}" for target, score in zip(*row)]
             for row in zip(shown.targets, shown.scores)]  # fmt: skip
    caption = f"{_caption(subject, shown)} · logits above the maps, one scale for all classes"
    figure = render.class_panels(shown, _pixels(subject, images), titles, names, caption, look.colormap)
    return render.save(figure, folder / PANELS)


def _caption(subject: Subject, explanation: Explanation) -> str:
    at = f"{explanation.method} at layer {explanation.layer}" if explanation.layer else explanation.method
    return " · ".join(filter(None, [at, subject.notice]))


def _highest(explanation: Explanation, count: int) -> Explanation:
    """The `count` targets of the highest scores of each image, in the order of the classes."""
    if explanation.maps.shape[1] <= count:
        return explanation
    best = np.sort(np.argsort(-explanation.scores, axis=1)[:, :count], axis=1)
    rows = np.arange(len(best))[:, None]
    return replace(explanation, maps=explanation.maps[rows, best], targets=explanation.targets[rows, best],
                   scores=explanation.scores[rows, best])  # fmt: skip
