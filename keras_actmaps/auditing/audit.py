"""kam.audit: what a model relies on over a data set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_actmaps.auditing.clusters import Cluster, find_clusters
from keras_actmaps.auditing.hot_spots import patch_size
from keras_actmaps.auditing.observations import Observations, labeled_batches, observe
from keras_actmaps.auditing.record import Audit
from keras_actmaps.auditing.spectral import NEIGHBORS
from keras_actmaps.auditing.transplants import transplant
from keras_actmaps.comparison.stored import StoredRequest
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.optional import require_sklearn
from keras_actmaps.core.run_context import ignore
from keras_actmaps.core.settings import Count, Seed, Setting, show
from keras_actmaps.core.stored import StoredExplanations
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.validation import validate_batch_size
from keras_actmaps.methods.registry import Method
from keras_actmaps.methods.request import MethodRequest, make_request

_LIMIT = Setting("limit", Count | None, 2000, "images of the data set that are audited")
_SEED = Setting("seed", Seed, 0, "seed of the random numbers")


def audit(
    model: Any,
    dataset: Iterable,
    method: str | Method | StoredExplanations = "lrp",
    classes: Sequence[int] | None = None,
    masks: Any = None,
    limit: int | None = 2000,
    seed: int = 0,
    batch_size: int = 32,
    *,
    names: Sequence[str] | None = None,
    report: Callable[[int, int | None], None] | None = None,
    **settings: Any,
) -> Audit:
    """Find the strategies of a classifier, and test which of them are a small patch that decides the class.

    The maps of the predicted class are clustered by class (spectral relevance analysis, Lapuschkin et al. 2019). The
    hot spot of each image, a fifth of its sides, is then pasted into images of other classes, and filled from its
    surroundings; both are compared with a random patch of the same image. Clusters whose patches do the same are
    merged.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module or Probe
        A classifier of images.
    dataset : iterable, or (images, labels)
        Batches or single images, with or without labels, see `core.batching.iterate_batches`; or two arrays.
    method : str, Method or Maps
        Of the maps, one of `METHODS`; or the maps themselves: a finished `explain_all` of the predicted classes of the
        same images in the same order, which is read batch by batch.
    classes : sequence of int or None
        Classes to audit; None is all that are predicted.
    masks : array of shape (N, H, W) or None
        Objects, in the order of the images; the data set may also contain them as `(images, labels, {"masks": ...})`.
    limit : int or None
        Only the first images are audited; the data set should be in random order. None is all of them.
    seed : int
    batch_size : int
        Maximum number of images in memory at a time.
    names : sequence of str, optional
        Of the classes.
    report : callable, optional
        `report(done, None)` is called as images are explained.
    **settings
        Of the method.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        Before any computation, for an unknown method, class or setting, and a model that is not a classifier of images.
        For stored maps of other classes than those that the model predicts.
    ImportError
        Without scikit-learn.

    Notes
    -----
    Cost: the method and ten forward passes for each image. Memory: a small
    map, two patches and a thumbnail of at most 96 x 96 pixels for each image, and at most 480 whole images.

    A patch that decides the class need not be an artifact: without masks, a small object is flagged as well. A strategy
    that needs more than a patch, such as a background, is not found.
    """
    require_sklearn("cluster")
    limit, seed = _LIMIT.validate(limit), _SEED.validate(seed)
    request = _request(method, settings, batch_size)
    traced = as_traced(model)
    _require_classifier_of_images(traced)
    chosen = _validate_classes(classes, traced)
    batches = labeled_batches(traced, dataset, masks, limit, batch_size)
    observed, judge = observe(traced, batches, request, batch_size, seed, report or ignore)
    if isinstance(request, StoredRequest) and len(observed.predicted) != limit:
        request.require_count(len(observed.predicted))
    found = sorted(set(observed.predicted.tolist())) if chosen is None else chosen

    def name(label: int) -> str:
        return f"class {label}" if names is None else names[label]

    trials = transplant(judge, observed, found, seed)
    clusters, numbers, coordinates = find_clusters(observed, trials, found, name, seed)
    about = {"model": traced.name, "seed": seed, **_description(request)}
    return Audit(
        tuple(clusters),
        observed.predicted,
        observed.labels,
        numbers,
        observed.probes.places,
        coordinates,
        space=observed.space,
        patch=patch_size(*observed.space),
        about=about,
        remarks=tuple(_remarks(observed, clusters, found, name)),
    )


def _request(method: Any, settings: Mapping[str, Any], batch_size: int) -> MethodRequest | StoredRequest:
    if not isinstance(method, StoredExplanations):
        return make_request(method, settings, batch_size)
    if settings:
        raise ValueError(f"stored maps have the settings of their run, and {', '.join(settings)} cannot be changed")
    validate_batch_size(batch_size)
    return StoredRequest(method)


def _description(request: MethodRequest | StoredRequest) -> dict[str, Any]:
    """The name and the settings of the method."""
    if isinstance(request, StoredRequest):
        example = request.stored.explanation([0])
        name, settings = example.method, example.settings or {}
    else:
        name, settings = request.method.name, request.settings
    return {"method": name, "settings": {key: show(value) for key, value in settings.items()}}


def _require_classifier_of_images(traced: TracedModel) -> None:
    if traced.is_table or len(traced.input_shape) != 4:
        raise ValueError(f"an audit needs images (N, H, W, C); {traced.name!r} takes {traced.input_shape}")
    if traced.classes is None:
        raise ValueError(f"the outputs of {traced.name!r} are not class scores (N, classes), which an audit needs")


def _validate_classes(classes: Any, traced: TracedModel) -> list[int] | None:
    if classes is None:
        return None
    chosen = np.unique(np.atleast_1d(np.asarray(classes)))
    count = traced.classes or 0
    if chosen.dtype.kind not in "iu" or not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
        raise ValueError(f"classes must be integers from 0 to {count - 1}, got {show(classes)}")
    return [int(label) for label in chosen]


def _remarks(
    observed: Observations, clusters: Sequence[Cluster], classes: list[int], name: Callable[[int], str]
) -> list[str]:
    """What was not tested or found, one line each."""
    lines = []
    empty = int((~observed.maps.any(axis=(1, 2))).sum())
    if empty:
        lines.append(f"{empty} of {len(observed.maps)} images have a map without positive values and no cluster.")
    for label in classes:
        count, own = int((observed.predicted == label).sum()), [one for one in clusters if one.label == label]
        if not count:
            lines.append(f"{name(label)}: no image was predicted as it.")
        elif count <= NEIGHBORS:
            lines.append(f"{name(label)}: {count} images, too few to be divided (more than {NEIGHBORS} are needed).")
        elif len(own) == 1:
            lines.append(f"{name(label)}: one strategy, {own[0].size} images.")
    if len(set(observed.predicted.tolist())) == 1:
        lines.append("Only one class was predicted, so that no patch was transplanted and nothing can be flagged.")
    return lines
