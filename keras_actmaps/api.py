"""explain() and explain_dataset(): a model, images and a method's name give an Explanation."""

import warnings
import weakref
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import keras
import numpy as np

from keras_actmaps import engine, methods
from keras_actmaps.explanation import Explanation
from keras_actmaps.methods import kinds
from keras_actmaps.probe import Probe
from keras_actmaps.resize import resize

_probes: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def explain(model, images, method: str = "gradcam", targets=None, layer=None, batch_size: int = 32, **settings):
    """Attribute the targets' scores to places in the images.

    model: a Keras model (functional, Sequential, nested or subclassed) or a Probe.
    images: (N,H,W,C) as `model.predict` takes them; other ranks give maps of the same space.
    targets: None = the predicted class; a class; (N,) or (N,K) classes; "all"; or a function outputs -> (N,) score.
    layer: see `Probe`. batch_size: the most images in memory at a time.
    settings: those of the method.

    Returns an Explanation with float32 maps (N,H,W), or (N,K,H,W) for K targets an image. Raises ValueError, before
    any work, for an unknown method, layer, target or setting and for images that do not fit.
    """
    probe = _as_probe(model, layer)
    images = probe.images(images)
    return _explain(probe, images, method, targets, batch_size, _size(batch_size, len(images)), settings)


def explain_dataset(
    model, dataset: Iterable, method: str = "gradcam", targets=None, layer=None, batch_size: int = 32, **settings
) -> Iterator[Explanation]:
    """Explain a stream, one Explanation for each batch of it, in flat memory.

    dataset: a tf.data.Dataset (or any iterable) of images or (images, labels, ...), in batches or one by one. Single
    images are gathered to `batch_size`. targets: as for `explain`, the same for all images, or "labels" to explain
    each image's own label. A ragged last batch is padded, so that nothing is compiled twice.
    """
    probe = _as_probe(model, layer)
    size = None
    for images, labels in _gathered(dataset, len(probe.input_shape), batch_size):
        images = probe.images(images)
        size = size or _size(batch_size, len(images))
        if isinstance(targets, str) and targets == "labels" and labels is None:
            raise ValueError("targets='labels', but the dataset holds images only")
        asked = labels if isinstance(targets, str) and targets == "labels" else targets
        yield _explain(probe, images, method, asked, batch_size, size, settings)
    if size is None:
        raise ValueError("the dataset holds no images")


def _explain(probe: Probe, images, method: str, targets, batch_size: int, size: int, settings: dict) -> Explanation:
    function = methods.named(method)
    settings = _settings(method, settings)
    targets = probe.targets(targets, len(images))
    if hasattr(function, "check"):
        function.check(probe, images, **settings)
    _warn_of_probabilities(probe, images)
    probe = probe.sized(batch_size, size)
    in_turn = not callable(targets) and targets.ndim == 2 and not getattr(function, "takes_many", False)
    columns = list(targets.T) if in_turn else [targets]
    rounds, report = len(columns) * -(-len(images) // size), probe.report
    probe.report = lambda done, total: report(done, rounds * total)
    answers = [_in_batches(probe, function, images, column, settings) for column in columns]
    maps, targets, scores, residual = answers[0]
    if in_turn:
        maps, targets, scores, residual = (None if part[0] is None else np.stack(part, 1) for part in zip(*answers))
    return Explanation(
        maps=maps,
        targets=targets.astype("int64"),
        scores=scores,
        method=method,
        layer=probe.layer if getattr(function, "of_layer", False) else None,
        residual=residual,
        settings=settings,
        versions={name: version(name) for name in ("keras", keras.backend.backend(), "numpy")},
    )


def _warn_of_probabilities(probe: Probe, images) -> None:
    """Say so where a softmax cannot be taken off, because the model is a single step whose inside cannot be seen."""
    if not probe.graph.is_opaque:
        return
    outputs = [np.asarray(output) for output in keras.tree.flatten(probe.outputs(images[:1]))]
    if all(output.ndim == 2 and output.min() >= 0 and abs(output.sum() - 1) < 1e-3 for output in outputs):
        warnings.warn(
            f"{probe.name!r} gives probabilities, and its softmax cannot be seen; the maps explain these, not logits, "
            "and vanish where the model is sure", stacklevel=4,
        )  # fmt: skip


def _in_batches(probe: Probe, function, images, targets, settings: dict):
    """Maps at image size, resolved targets, scores and residuals (or None) of all images, a batch at a time."""
    arrays = [images] if callable(targets) else [images, targets]
    parts = []
    for batch, real in engine.batches(arrays, probe.size):
        asked = targets if callable(targets) else batch[1]
        maps, resolved, scores = (np.asarray(part) for part in _ask(probe, function, batch[0], asked, settings))
        residual = None
        if hasattr(function, "sums_to") and settings.get("channels") != "max":
            question = targets if callable(targets) else resolved
            expected = function.sums_to(probe, batch[0], question, scores, settings)
            residual = maps.reshape(len(maps), -1).sum(1, dtype="float64").astype("float32") - expected
        if settings.get("channels") != "keep":
            maps = resize(maps, images.shape[1:-1] or images.shape[1:])
        parts.append([None if part is None else part[:real] for part in (maps, resolved, scores, residual)])
    return [None if part[0] is None else np.concatenate(part) for part in zip(*parts)]


def _ask(probe: Probe, function, images, targets, settings: dict):
    """Maps, resolved targets and scores of one batch."""
    if hasattr(function, "program"):
        return probe.ask(function.program, images, targets, **settings)
    _, resolved, scores = probe.ask(kinds.scores_only, images, targets)
    question = targets if callable(targets) else np.asarray(resolved)
    return function(probe, images, question, **settings), resolved, scores


def defaults(method: str) -> dict:
    """The settings of a method and their defaults."""
    return kinds.settings_of(methods.named(method))


def _settings(method: str, given: dict) -> dict:
    known = defaults(method)
    for name in given:
        if name not in known:
            raise ValueError(f"{method} has no setting {name!r}; it has: {', '.join(known) or 'none'}")
    return {**known, **given}


def _size(batch_size: int, count: int) -> int:
    """The images of a batch: at most `batch_size`, and evenly shared out, so that the last needs little padding."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} holds no image; give 1 or more")
    return -(-count // -(-count // batch_size))


def _as_probe(model, layer) -> Probe:
    if isinstance(model, Probe):
        if layer is not None and layer != model.layer:
            raise ValueError(f"layer={layer!r}, but the Probe was made for layer {model.layer!r}; make another Probe")
        return model
    if not isinstance(model, keras.Model):
        raise TypeError(f"explain needs a Keras model or a Probe, not {type(model).__name__}")
    state = tuple((id(part), id(getattr(part, "activation", None))) for part in model._flatten_layers())
    key = tuple(layer) if isinstance(layer, list) else layer
    known = _probes.setdefault(model, {})
    if key not in known or known[key][0] != state:
        known[key] = state, Probe(model, layer).release()
    return known[key][1]


def _gathered(dataset, rank: int, batch_size: int):
    """(images, labels or None) in batches, from a stream of batches or of single images."""
    waiting = []
    for element in dataset:
        images, labels = (element[0], element[1]) if isinstance(element, (tuple, list)) else (element, None)
        images = np.asarray(images)
        labels = None if labels is None else np.asarray(labels)
        if images.ndim != rank - 1:
            yield images, labels
            continue
        waiting.append((images, labels))
        if len(waiting) == batch_size:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)


def _stacked(pairs):
    images, labels = zip(*pairs)
    return np.stack(images), None if labels[0] is None else np.stack(labels)
