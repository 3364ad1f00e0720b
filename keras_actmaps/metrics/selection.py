"""Which metrics can be asked for: those that are there, that have these settings, and whose truth is known."""

import inspect
from collections.abc import Callable, Mapping

import numpy as np

from keras_actmaps.methods.registry import settings_of
from keras_actmaps.metrics import METRICS
from keras_actmaps.metrics.registry import find_metric

TRUTH = ("masks", "boxes")
USUAL = {"": ("deletion", "insertion"), "masks": ("pointing_game", "energy_pointing"), "boxes": ("box_iou",)}


def needs(metric: Callable) -> list[str]:
    """What a metric is called with: model, images, explanation; or explanation, and masks or boxes."""
    parameters = inspect.signature(metric).parameters.values()
    return [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]


def ask(
    metric: Callable, probe, images, explanation, truth: Mapping, targets=None, batch_size: int = 32, **settings
) -> np.ndarray:
    """A metric, or the `parts` of one of a set, asked with what it needs.

    truth: {"masks": ..., "boxes": ...}, or what of these is known. targets: a function, where one was explained.
    """
    needed = needs(metric)
    if "model" not in needed:
        return metric(explanation, *(truth[what] for what in needed[1:]), **settings)
    question = {"targets": targets} if callable(targets) else {}
    return metric(probe, images, explanation, batch_size=batch_size, **question, **settings)


def check(name: str, settings: Mapping) -> None:
    """ValueError for a metric or a setting that there is not."""
    known = [setting for setting in settings_of(find_metric(name)) if setting not in ("targets", "batch_size")]
    for setting in settings:
        if setting not in known:
            raise ValueError(f"{name} has no setting {setting!r}; it has: {', '.join(known) or 'none'}")


def check_truth(name: str, truth: Mapping) -> None:
    """ValueError for a metric that needs masks or boxes where there are none."""
    for what in needs(find_metric(name)):
        if what in TRUTH and what not in truth:
            raise ValueError(f"{name} needs {what}, and the images have none")


def fitting(truth: Mapping) -> list[str]:
    """The metrics whose masks or boxes are in the truth, or that need none."""
    return [name for name, metric in METRICS.items() if not set(needs(metric)) & set(TRUTH) - set(truth)]


def usual(truth: Mapping) -> list[str]:
    """A few of them, where none are find_metric."""
    return [name for what, names in USUAL.items() if not what or what in truth for name in names]
