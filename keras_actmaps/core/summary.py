"""Short words on an explanation, for its `repr` and for notebooks."""

from typing import Any

import numpy as np

from keras_actmaps.core.types import Array


def summary(explanation: Any) -> dict[str, str]:
    """Short words on an explanation by name: method, layer, N, space of the maps, and the first targets."""
    maps, many = explanation.maps, np.ndim(explanation.scores)
    spaces = {name: one.shape[many:] for name, one in maps.items()} if isinstance(maps, dict) else maps.shape[many:]
    reason = "" if explanation.layer_reason is None else f" ({explanation.layer_reason})"
    words = {"method": repr(explanation.method), "layer": repr(explanation.layer) + reason, "N": str(len(explanation))}
    if many > 1:
        words["K"] = str(np.shape(explanation.scores)[1])
    return words | {"space": str(spaces), "targets": explanation.target_name or few(explanation.targets)}


def few(values: Array | None) -> str:
    """The first four of the targets or other numbers."""
    if values is None:
        return "None"
    flat = np.ravel(values)
    shown = ", ".join(f"{value:.5g}" if flat.dtype.kind == "f" else str(value) for value in flat[:4])
    return f"[{shown}{', ...' if flat.size > 4 else ''}]"
