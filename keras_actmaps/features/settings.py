"""The settings of gradient ascent."""

from dataclasses import dataclass, fields

import numpy as np

from keras_actmaps.features.parametrization import PAINTS

AT_LEAST_0 = ("noise", "rate", "certainty", "l2", "variation", "jitter", "zoom", "turn")


@dataclass(frozen=True)
class AscentSettings:
    """How the ascent is done.

    bounds: the range of the model's inputs, which images never leave. ground: the value that all pixels begin with,
    where the ascent begins with no image; None = the middle of the bounds. noise: the standard deviation of the values
    that are added to it. parametrisation: "fourier" or "pixels" (see `canvas.paint`). rate: Adam's step, which falls to
    0 along a cosine. certainty: the weight of the class's log-probability, which is added to its logit, so that no
    other class is scored higher still.

    l2, variation: the weights of the squared distance from the middle of the bounds and of the total variation, in
    units of the bounds, against a gradient of the score whose root mean square is 1. jitter, zoom, turn: the score is
    that of the image shifted by up to such a share of its side (in whole pixels), made larger or smaller by up to such
    a share and turned by up to so many degrees, drawn anew in each step.
    """

    bounds: tuple[float, float] = (0.0, 1.0)
    ground: float | None = None
    noise: float = 0.3
    parametrisation: str = "fourier"
    rate: float = 0.1
    certainty: float = 10.0
    l2: float = 0.0
    variation: float = 0.05
    jitter: float = 0.06
    zoom: float = 0.05
    turn: float = 5.0


def ascent_settings(settings: dict) -> AscentSettings:
    """The settings as a record; ValueError for one that there is not or that is out of range."""
    known = [field.name for field in fields(AscentSettings)]
    for name in settings:
        if name not in known:
            raise ValueError(f"ascent has no setting {name!r}; it has: {', '.join(known)}")
    climb = AscentSettings(**settings)
    if climb.parametrisation not in PAINTS:
        raise ValueError(f"no parametrisation {climb.parametrisation!r}; there are: {', '.join(PAINTS)}")
    low, high = climb.bounds
    if not low < high:
        raise ValueError(f"bounds={climb.bounds} hold nothing; give (low, high)")
    if climb.ground is not None and not low <= climb.ground <= high:
        raise ValueError(f"ground={climb.ground} is outside bounds={climb.bounds}")
    for name in AT_LEAST_0:
        if not 0 <= getattr(climb, name) < np.inf:
            raise ValueError(f"{name}={getattr(climb, name)} is below 0 or not finite")
    return climb
