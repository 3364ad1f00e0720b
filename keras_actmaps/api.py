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
from keras_actmaps.streams import even_size, gathered

_probes: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def explain(
    model,
    images,
    method: str = "gradcam",
    targets=None,
    layer=None,
    batch_size: int = 32,
    precision: str | None = None,
    **settings,
):
    """Attribute the targets' scores to places in the images.

    model: a Keras model (functional, Sequential, nested or subclassed), with Keras on PyTorch also a
        `torch.nn.Module`, or a Probe.
    images: (N,H,W,C) as `model.predict` takes them, (N,C,H,W) for a module; other ranks give maps of the same space.
    targets: None = the predicted class; a class; (N,) or (N,K) classes; "all"; or a function outputs -> (N,) score.
    layer, precision (None = "float32"): see `Probe`. batch_size: the most images in memory at a time.
    settings: those of the method.

    Returns an Explanation with float32 maps (N,H,W), or (N,K,H,W) for K targets an image. Raises ValueError, before
    any work, for an unknown method, layer, target or setting and for images that do not fit.
    """
    probe = as_probe(model, layer, precision, images)
    images = probe.images(images)
    return explained(probe, images, method, targets, batch_size, even_size(batch_size, len(images)), settings)


def explain_dataset(
    model,
    dataset: Iterable,
    method: str = "gradcam",
    targets=None,
    layer=None,
    batch_size: int = 32,
    precision: str | None = None,
    **settings,
) -> Iterator[Explanation]:
    """Explain a stream, one Explanation for each batch of it, in flat memory.

    dataset: see `streams.gathered`. targets: as for `explain`, the same for all images, or "labels" to explain each
    image's own label. A ragged last batch is padded, so that nothing is compiled twice.
    """
    probe = None if engine.is_module(model) else as_probe(model, layer, precision, None)
    size = None
    for images, labels, _ in gathered(dataset, len(probe.input_shape) if probe else None, batch_size):
        probe = probe or as_probe(model, layer, precision, images)
        images = probe.images(images)
        size = size or even_size(batch_size, len(images))
        if isinstance(targets, str) and targets == "labels" and labels is None:
            raise ValueError("targets='labels', but the dataset holds images only")
        asked = labels if isinstance(targets, str) and targets == "labels" else targets
        yield explained(probe, images, method, asked, batch_size, size, settings)
    if size is None:
        raise ValueError("the dataset holds no images")


def explained(probe: Probe, images, method: str, targets, batch_size: int, size: int, settings: dict) -> Explanation:
    """The maps of one batch of a stream, or of all images there are, padded to whole batches of `size`."""
    function = methods.named(method)
    settings = check(probe, images, method, settings)
    targets = probe.targets(targets, len(images))
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
    outputs = [engine.to_numpy(output) for output in keras.tree.flatten(probe.outputs(images[:1]))]
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
        maps, resolved, scores = (engine.to_numpy(part) for part in _ask(probe, function, batch[0], asked, settings))
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
    question = targets if callable(targets) else engine.to_numpy(resolved)
    return function(probe, images, question, **settings), resolved, scores


def defaults(method: str) -> dict:
    """The settings of a method and their defaults."""
    return kinds.settings_of(methods.named(method))


def check(probe: Probe, images, method: str, given: dict) -> dict:
    """All settings of a method, fit for these images; ValueError otherwise."""
    settings = complete(method, given)
    if hasattr(methods.named(method), "check"):
        methods.named(method).check(probe, images, **settings)
    return settings


def complete(method: str, given: dict) -> dict:
    """All settings of a method; ValueError for one that it does not have."""
    known = defaults(method)
    for name in given:
        if name not in known:
            raise ValueError(f"{method} has no setting {name!r}; it has: {', '.join(known) or 'none'}")
    return {**known, **given}


def as_probe(model, layer=None, precision: str | None = None, images=None) -> Probe:
    """The Probe itself, or one of the model, kept as long as the model lives and has the same layers.

    images: those that are asked about, whose shape a `torch.nn.Module` does not know.
    """
    if isinstance(model, Probe):
        for name, given in (("layer", layer), ("precision", precision)):
            if given is not None and given != getattr(model, name):
                raise ValueError(f"{name}={given!r}, but the Probe was made for {name} {getattr(model, name)!r}; "
                                 "make another Probe")  # fmt: skip
        return model
    engine.check_model(model)
    shape = tuple(np.shape(images)[1:]) if engine.is_module(model) else None
    state = tuple((id(part), id(getattr(part, "activation", None))) for part in engine.parts(model))
    key = tuple(layer) if isinstance(layer, list) else layer, precision, shape
    known = _probes.setdefault(model, {})
    if key not in known or known[key][0] != state:
        known[key] = state, Probe(model, layer, shape, precision or "float32").release()
    return known[key][1]
