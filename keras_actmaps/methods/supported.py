"""supported(): which methods fit a model, and why the others do not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.tokens import tokenized
from keras_actmaps.methods.registry import METHODS
from keras_actmaps.methods.request import make_request

UNKNOWN_SIDE = 64  # side of the test inputs for a model that accepts any size


@dataclass(frozen=True)
class Support(Mapping):
    """A mapping from every method to None, or to the reason why it does not fit."""

    reasons: Mapping[str, str | None]

    def __getitem__(self, method: str) -> str | None:
        return self.reasons[method]

    def __iter__(self) -> Iterator[str]:
        return iter(self.reasons)

    def __len__(self) -> int:
        return len(self.reasons)

    @property
    def methods(self) -> list[str]:
        """The methods that fit."""
        return [method for method, reason in self.reasons.items() if reason is None]

    def __str__(self) -> str:
        width = max(map(len, self.reasons), default=0)
        return "\n".join(f"{method:{width}}  {reason or 'yes'}" for method, reason in self.reasons.items())


def supported(model: Any, inputs: Any = None, targets: Any = None, layer: Any = None) -> Support:
    """Which methods fit a model, by validation only: no map is computed.

    Parameters
    ----------
    model, targets, layer
        As for `explain`.
    inputs : array, optional
        Examples of inputs to explain; required for a `torch.nn.Module`, whose input shape is unknown.

    Returns
    -------
    Support
        A mapping from each method to None or the reason; `print(kam.supported(model))` shows it as a table.
    """
    inputs = tokenized(model, inputs)
    traced = as_traced(model, layer, inputs=inputs)
    if inputs is None and traced.tokens:
        names = {part.name: np.ones((1, *part.shape), "int32") for part in traced.input_parts}
        values = traced.validate_inputs(names)
    elif inputs is None:
        sides = [UNKNOWN_SIDE if side is None else side for side in traced.input_shape[1:]]
        values = np.random.default_rng(0).random((1, *sides)).astype("float32")
    else:
        values = traced.validate_inputs(inputs)[:1]
    reasons: dict[str, str | None] = {}
    for name in METHODS:
        try:
            make_request(name, {}).validate(traced, values)
            traced.validate_targets(targets, 1 if callable(targets) or np.ndim(targets) == 0 else len(targets))
            reasons[name] = None
        except ValueError as error:
            reasons[name] = str(error)
    return Support(reasons)
