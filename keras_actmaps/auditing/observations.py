"""One pass over a data set: what an audit keeps of each image, of a size that does not depend on the image's."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np

from keras_actmaps import backend
from keras_actmaps.auditing.hot_spots import (
    border_share,
    cut,
    fill,
    hot_spots,
    other_place,
    patch_size,
    share_inside,
)
from keras_actmaps.auditing.spectral import small_maps
from keras_actmaps.comparison.stored import StoredRequest
from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.batching import even_batch_size, iterate_batches, padded_batches
from keras_actmaps.core.labels import class_numbers
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.stored import has_map
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.explain_batch import explain_batch
from keras_actmaps.methods.request import MethodRequest

HOSTS = 24  # images of each class that patches are pasted into
MOST_HOSTS = 480  # of all classes
TIE = 1e-3  # of the range of an image's scores; a class within it may be predicted with another size of batches
THUMBNAIL = 96  # pixels of the longer side of the images in a report


class Probes(NamedTuple):
    """The patches of some images: those at their hot spots, and others at random places."""

    patches: Array
    places: Array
    other_patches: Array
    other_places: Array

    def rows(self, which: Array) -> "Probes":
        """Those of some images."""
        return Probes(*(part[which] for part in self))


@dataclass(frozen=True)
class Observations:
    """What is kept of a data set. Arrays have one row per image.

    Attributes
    ----------
    predicted, labels : int64 arrays of shape (N,)
        Labels are -1 where the data set has none.
    maps : float32 array of shape (N, h, w)
        Small maps with the sum 1, or 0 for a map without positive values.
    shares : dict of float64 arrays of shape (N,)
        "object", "border" and "hot spot": shares of the positive map.
    leaves, leaves_control : bool arrays of shape (N,)
        Whether the image leaves its class when its hot spot, or another patch, is filled.
    probes : Probes
    hosts : list of (int, array)
        Class and image (H, W, C) of those that patches are pasted into.
    thumbnails : float32 array of shape (N, h, w, C)
    space : (int, int)
        Rows and columns of the images.
    """

    predicted: Array
    labels: Array
    maps: Array
    shares: dict[str, Array]
    leaves: Array
    leaves_control: Array
    probes: Probes
    hosts: list[tuple[int, Array]]
    thumbnails: Array
    space: tuple[int, int]


@dataclass(eq=False)
class Judge:
    """The scores (N, classes) of a model, in batches of one size."""

    traced: TracedModel
    context: RunContext

    def __call__(self, images: Array) -> Array:
        """The logits of images (N, ...)."""
        parts = []
        for (batch,), real in padded_batches([images], self.context.padded_size):
            targets = self.traced.validate_targets(None, len(batch))
            found, _, _ = self.traced.run(_class_scores, batch, targets, context=self.context)
            parts.append(backend.to_numpy(found)[:real])
        return np.concatenate(parts)


def _class_scores(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    outputs = traced.outputs(inputs)
    return Attribution(traced.class_scores(outputs), outputs)


@dataclass(eq=False)
class HostSample:
    """A uniform sample of the images of each predicted class, of a stream of unknown length (Vitter 1985, R)."""

    random: np.random.Generator
    seen: dict[int, int] = field(default_factory=dict)
    kept: dict[int, list[Array]] = field(default_factory=dict)

    def add(self, images: Array, predicted: Array) -> None:
        """Offer images to the sample."""
        for image, label in zip(images, predicted.tolist()):
            self.seen[label] = self.seen.get(label, 0) + 1
            kept = self.kept.setdefault(label, [])
            if len(kept) < HOSTS and sum(map(len, self.kept.values())) < MOST_HOSTS:
                kept.append(image.copy())
            elif kept and (place := int(self.random.integers(self.seen[label]))) < len(kept):
                kept[place] = image.copy()

    def all(self) -> list[tuple[int, Array]]:
        """(class, image) of the sample."""
        return [(label, image) for label, images in sorted(self.kept.items()) for image in images]


def observe(
    traced: TracedModel,
    batches: Iterable[tuple[Array, Array | None, Array | None]],
    request: MethodRequest | StoredRequest,
    batch_size: int,
    seed: int,
    report: Callable[[int, int | None], None],
) -> tuple[Observations, Judge]:
    """Explain the predicted class of each image, and keep what an audit needs.

    batches: (images, labels or None, masks or None). Raises ValueError for a data set without images.
    """
    random, rows, space, first = np.random.default_rng(seed), [], (0, 0), 0
    judge: Judge | None = None
    hosts = HostSample(np.random.default_rng([seed, 1]))
    for images, labels, masks in batches:
        if judge is None:
            request.validate(traced, images)
            space = images.shape[1:3]
            judge = Judge(traced, RunContext(batch_size, even_batch_size(batch_size, len(images))))
        maps, predicted = _maps_of(judge, images, request, first)
        first += len(images)
        hosts.add(images, predicted)
        rows.append(_row(judge, images, labels, masks, maps, predicted, random))
        report(len(images), None)
    if judge is None:
        raise ValueError("the dataset has no images")
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    probes = Probes(*(columns.pop(name) for name in Probes._fields))
    shares = {name: columns.pop(name) for name in ("object", "border", "hot spot")}
    return Observations(**columns, shares=shares, probes=probes, hosts=hosts.all(), space=space), judge


def _maps_of(judge: Judge, images: Array, request: MethodRequest | StoredRequest, first: int) -> tuple[Array, Array]:
    """The maps (N, H, W) and predicted classes (N,) of a batch; of stored maps, zeros for images without one.

    Raises ValueError for stored maps of other classes than those that the model predicts.
    """
    if not isinstance(request, StoredRequest):
        explanation = explain_batch(judge.traced, images, request, None, judge.context)
        return explanation.maps, np.asarray(explanation.targets)
    explanation = request.explanation(first, images)
    good, scores = has_map(explanation), judge(images)
    if explanation.targets is None:
        raise ValueError("the stored maps explain a function of the outputs; an audit needs those of predicted classes")
    explained = np.where(good, explanation.targets, scores.argmax(axis=1))
    missing = scores.max(axis=1) - np.take_along_axis(scores, explained[:, None], axis=1)[:, 0]
    wrong = np.flatnonzero(missing > TIE * np.ptp(scores, axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f"the stored map of image {first + row} explains class {explained[row]}, and the model predicts class "
            f"{scores[row].argmax()}; an audit needs maps of the predicted classes of these images"
        )
    maps = np.where(good[:, None, None], explanation.maps, 0)
    return maps.astype("float32"), explained


def _row(
    judge: Judge,
    images: Array,
    labels: Array | None,
    masks: Array | None,
    maps: Array,
    predicted: Array,
    random: np.random.Generator,
) -> dict[str, Array]:
    """What is kept of a batch."""
    size, space = patch_size(*maps.shape[1:]), maps.shape[1:]
    places = hot_spots(maps, size)
    others = np.stack([other_place(place, space, size, random) for place in places])
    boxes = np.zeros(maps.shape, bool)
    for inside, (top, left) in zip(boxes, places):
        inside[top : top + size[0], left : left + size[1]] = True
    unknown = np.full(len(maps), np.nan)
    return {
        "predicted": predicted,
        "labels": np.full(len(images), -1) if labels is None else labels.astype("int64"),
        "maps": small_maps(maps),
        "object": unknown if masks is None else share_inside(maps, masks),
        "border": border_share(maps),
        "hot spot": share_inside(maps, boxes),
        "leaves": judge(fill(images, places, size)).argmax(1) != predicted,
        "leaves_control": judge(fill(images, others, size)).argmax(1) != predicted,
        "patches": cut(images, places, size),
        "places": places,
        "other_patches": cut(images, others, size),
        "other_places": others,
        "thumbnails": np.stack([thumbnail(image) for image in images]),
    }


def thumbnail(image: Array) -> Array:
    """An image (H, W, C), at most 96 pixels on its longer side."""
    height, width, channels = image.shape
    scale = min(1.0, THUMBNAIL / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], channels)


def labeled_batches(
    traced: TracedModel, dataset: Any, masks: Any, limit: int | None, batch_size: int
) -> Iterator[tuple[Array, Array | None, Array | None]]:
    """The first `limit` images of a data set as validated batches, with labels and masks, or None for what is missing.

    Parameters
    ----------
    dataset : iterable or (images, labels)
        As for `core.batching.iterate_batches`, or a pair of arrays of the whole data set.
    masks : array of shape (N, H, W) or None
        Of the objects, in the order of the data set, which may also contain them: (images, labels, {"masks": ...}).
    """
    rank, seen = len(traced.input_shape), 0
    if is_pair(dataset, rank):
        if len(dataset[0]) != len(dataset[1]):
            raise ValueError(f"{len(dataset[1])} labels do not fit {len(dataset[0])} images")
        dataset = zip(*map(np.asarray, dataset))
    for images, labels, extras in iterate_batches(dataset, rank, batch_size):
        count = len(images) if limit is None else min(len(images), limit - seen)
        images = traced.validate_inputs(images[:count])
        own = extras.get("masks") if masks is None else np.asarray(masks)[seen : seen + count]
        if own is not None and (len(own[:count]) != count or own.shape[1:3] != images.shape[1:3]):
            raise ValueError(f"masks of shape {np.shape(own)} do not fit images of shape {images.shape}")
        own = None if own is None else own[:count].reshape(images.shape[:3])
        yield images, None if labels is None else _classes_of(labels[:count]), own
        seen += count
        if seen == limit:
            return


def is_pair(dataset: Any, rank: int) -> bool:
    """Whether a data set is (images, labels) as two arrays, not a sequence of batches."""
    if not isinstance(dataset, tuple) or len(dataset) != 2:
        return False
    shapes = [np.shape(part) for part in dataset]
    return len(shapes[0]) == rank and len(shapes[1]) in (1, 2) and len(shapes[1]) != rank - 1


def _classes_of(labels: Any) -> Array:
    """Labels as class numbers (N,); ValueError for rows of several labels and for values that are not classes."""
    if (numbers := class_numbers(labels)) is None:
        raise ValueError(
            f"an audit needs labels that are classes, (N,) or one-hot rows (N, classes), got shape {np.shape(labels)}"
        )
    return numbers
