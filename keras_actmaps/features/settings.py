"""Settings of the functions in this package: their annotated types, and validation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_type_hints

import numpy as np

from keras_actmaps.core.settings import LARGEST, Count, Ge, Le, Setting, settings_of, validate_settings

Report: TypeAlias = Callable[[int, int | None], None]  # as in `core.run_context.RunContext`

Strength = Annotated[float, Ge(0), Le(LARGEST)]
Steps = Annotated[Count, "steps of gradient ascent"]
Channels = Annotated[
    Annotated[int, Ge(0)] | tuple[Annotated[int, Ge(0)], ...] | list[Annotated[int, Ge(0)]] | None,
    "channels of the layer, such as 0,3,5",
]
Examples = Annotated[Count, "images per channel"]
SpatialReduction = Annotated[Literal["max", "mean"], "how the activations of a channel are reduced over space"]
KernelSize = Annotated[
    Count | tuple[Count, ...] | list[Count] | None, "kernel sizes of random convolutions, instead of the model's"
]
Depth = Annotated[Count, "convolutions, one after the other"]
Pool = Annotated[Count, "side of a pooling window"]
Filters = Annotated[Count, "filters of a random convolution"]


@dataclass(frozen=True, kw_only=True)
class AscentSettings:
    """Settings of gradient ascent.

    `l2` and `variation` are relative to a gradient whose root mean square is 1. Each step scores the images shifted,
    zoomed and rotated by random amounts of at most `jitter`, `zoom` and `turn`.
    """

    bounds: Annotated[tuple[float, float], "lowest and highest value of the model's inputs"] = (0.0, 1.0)
    ground: Annotated[float | None, "initial value of all pixels; None is the middle of the bounds"] = None
    noise: Annotated[Strength, "standard deviation of the initial noise"] = 0.3
    parametrisation: Annotated[
        Literal["fourier", "pixels"], "whether Fourier coefficients in decorrelated colors or pixels are optimized"
    ] = "fourier"
    rate: Annotated[Strength, "step size of Adam, which falls to 0 along a cosine"] = 0.1
    certainty: Annotated[Strength, "weight of the class's log-probability, which is added to its logit"] = 10.0
    l2: Annotated[Strength, "weight of the squared distance from the middle of the bounds"] = 0.0
    variation: Annotated[Strength, "weight of the total variation"] = 0.05
    jitter: Annotated[Strength, "largest shift, as a fraction of the longer side, in whole pixels"] = 0.06
    zoom: Annotated[Strength, "largest change of size, as a fraction"] = 0.05
    turn: Annotated[Strength, "largest rotation, in degrees"] = 5.0


def make_ascent_settings(settings: Mapping[str, Any]) -> AscentSettings:
    """The settings as a record; ValueError for unknown settings and invalid values."""
    record = AscentSettings(**validate_settings("ascent", settings_of(AscentSettings), settings))
    low, high = record.bounds
    with np.errstate(over="ignore"):
        extent = np.subtract(high, low, dtype="float32")
    if not 0 < extent < np.inf:
        raise ValueError(f"bounds must be (low, high) with low < high, in float32, got {record.bounds}")
    if record.ground is not None and not low <= record.ground <= high:
        raise ValueError(f"ground must be within bounds={record.bounds}, got {record.ground}")
    return record


def validate_arguments(function: Callable, **arguments: Any) -> list[Any]:
    """Arguments of a function, validated by the annotations of its parameters; ValueError as for a setting."""
    hints = get_type_hints(function, include_extras=True)
    return [Setting(name, hints[name], None, "").validate(value) for name, value in arguments.items()]
