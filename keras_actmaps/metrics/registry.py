"""What metrics are made of: which way is better, the question they ask checked, the score they take.

A metric is a function with marks that tables read: `better`, "higher" or "lower"; `of_set`'s where it is one of a set.
"""

import functools
from collections.abc import Callable

import numpy as np
from keras import ops

from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.core.traced_model import map_shape
from keras_actmaps.methods.registry import check_count, settings_of

SCORES = ("logit", "softmax", "sigmoid")


def higher_is_better(metric: Callable) -> Callable:
    """Mark a metric of which more is better."""
    metric.better = "higher"
    return metric


def lower_is_better(metric: Callable) -> Callable:
    """Mark a metric of which less is better."""
    metric.better = "lower"
    return metric


def of_set(joined: Callable) -> Callable:
    """A metric whose values hang on all images of a set, from what each image adds.

    It decorates `parts(explanation, truth, *, setting=default, ...) -> (N, ...)`, which a batch at a time can be asked
    for, as the mark `parts`; `joined(parts, **settings) -> (N,)`, its mark too, is asked once, of all of them.
    """

    def mark(parts: Callable) -> Callable:
        @functools.wraps(parts)
        def metric(*given, **settings):
            return joined(parts(*given, **settings), **settings_of(parts) | settings)

        metric.parts = parts
        metric.joined = lambda found, **settings: joined(found, **settings_of(parts) | settings)
        return metric

    return mark


def question(model, images, explanation: Explanation, targets=None, batch_size: int = 32, layer=None):
    """(probe, images, maps, targets) as a metric asks them; ValueError where they do not fit one another.

    The probe's batches are padded to `batch_size`, so that a stream's ragged last batch compiles nothing anew.
    """
    check_count("batch_size", batch_size)
    probe = as_traced(model, layer, images=images)
    images = probe.validate_inputs(images)
    maps = maps_of(explanation, images)
    if targets is None:
        targets = explanation.targets
        if (targets < 0).any():
            raise ValueError("the maps explain a function of the outputs; give it as targets=function")
    targets = probe.validate_targets(targets, len(images))
    if not callable(targets) and targets.ndim == 2:
        raise ValueError(f"targets of shape {targets.shape}; a metric takes one target an image, (N,)")
    return probe.sized(batch_size, batch_size), images, maps, targets


def maps_of(explanation: Explanation, images: np.ndarray) -> np.ndarray:
    """The maps (N,H,W) of the images, float64; ValueError where there are several of an image or they do not fit."""
    maps, space = maps_of_one_target(explanation), map_shape(images)
    if maps.shape != (len(images), *space):
        raise ValueError(f"maps of shape {maps.shape} do not fit the images; they need {(len(images), *space)}")
    return maps.astype("float64")


def check_score(score) -> None:
    """ValueError for a score that there is not."""
    if score not in SCORES:
        raise ValueError(f"no score {score!r}; there are: {', '.join(SCORES)}")


def scored(probe, images, targets, *, score):
    """A program for `sampled`: the targets' scores (N,) of a kind, see `metrics`."""
    outputs = probe.outputs(images)
    probe.note(outputs, targets)
    if score == "softmax" and not callable(targets) and outputs.shape[-1] > 1:
        outputs = ops.softmax(outputs)
    scores = probe.score(outputs, targets)
    return ops.sigmoid(scores) if score == "sigmoid" else scores
