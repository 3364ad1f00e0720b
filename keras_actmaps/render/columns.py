"""What is drawn of each input and target of an explanation, whatever the rank of its maps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.curves import CURVES
from keras_actmaps.render.images import bands_title, pixels_of

Names = Sequence[str] | Mapping[str, Sequence[str]]


class Column(NamedTuple):
    """The maps of one input and target.

    Attributes
    ----------
    title : str
    maps : array of shape (N, *space)
    inputs : array, optional
        Curves (N, T, K), or the pixels of images (N, H, W, 3) or of volumes (N, D, H, W, 3).
    note : str
        What is drawn of inputs with many channels.
    names : tuple of str
        Of features or curves; may be empty.
    """

    title: str
    maps: Array
    inputs: Array | None = None
    note: str = ""
    names: tuple[str, ...] = ()

    @property
    def has_images(self) -> bool:
        return self.inputs is not None and self.maps.ndim > 2

    @property
    def curves(self) -> int:
        """The number of curves below each other; 0 for all but series."""
        return 0 if self.inputs is None or self.maps.ndim > 2 else self.inputs.shape[-1]

    def titled(self, title: str) -> str:
        """The title of an example with the note, which has its own line where the title has several."""
        return f"{title}\n{self.note.lstrip(', ')}" if "\n" in title else f"{title}{self.note}"


def columns(
    explanation: Explanation, inputs: Any, bands: str | Sequence[int], most: int, names: Names = ()
) -> list[Column]:
    """The maps of each input and target, of the first `most` examples; ValueError for what cannot be drawn."""
    named = explanation.maps if isinstance(explanation.maps, dict) else {"": explanation.maps}
    values, many = _by_name(inputs, named), np.ndim(explanation.scores) == 2
    found = []
    for name, maps in named.items():
        title = f", {name}" if name else ""
        if maps.ndim - many not in (2, 3, 4):
            raise ValueError(f"maps of shape {maps.shape} cannot be drawn; they need 1 to 3 axes per example")
        space = maps.shape[1 + many :]
        drawn, note = _drawn_inputs(len(maps), space, values.get(name), bands, most)
        given = names.get(name, ()) if isinstance(names, Mapping) else names if len(named) == 1 else ()
        used = _checked_names(given, space, drawn, values.get(name))
        for number in range(maps.shape[1] if many else 1):
            one = maps[:most, number] if many else maps[:most]
            found.append(Column(f"{title}, target {number}" if many else title, one, drawn, note, used))
    return found


def channels_last(inputs: Any, shape: tuple[int, ...]) -> Array:
    """Inputs with channels last, first or without as (N, *space, C); ValueError if they do not fit maps of a shape."""
    array = np.asarray(inputs)
    if array.shape == shape:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[:-1] == shape:
        return array
    if array.ndim == len(shape) + 1 and array.shape[:1] + array.shape[2:] == shape:
        return np.moveaxis(array, 1, -1)
    raise ValueError(f"inputs of shape {array.shape} do not fit maps of shape {shape}")


def volume_pixels(volumes: Array, bands: str | Sequence[int] = "mean") -> Array:
    """Volumes (N, D, H, W, C) as uint8 (N, D, H, W, 3), each as one image, so that its range is that of the whole."""
    count, depth, height, width, channels = volumes.shape
    flat = pixels_of(volumes.reshape(count, depth * height, width, channels), bands, is_measured=True)
    return flat.reshape(count, depth, height, width, 3)


def _by_name(inputs: Any, named: dict[str, Array]) -> dict[str, Any]:
    """The inputs by the names of the maps; ValueError if it is not clear which belongs to which."""
    if inputs is None:
        return {}
    if "" in named:
        return {"": next(iter(inputs.values())) if isinstance(inputs, dict) and len(inputs) == 1 else inputs}
    if isinstance(inputs, (list, tuple)) and len(inputs) == len(named):
        inputs = dict(zip(named, inputs))
    if not isinstance(inputs, dict) or not (inputs.keys() <= named.keys() or named.keys() <= inputs.keys()):
        raise ValueError(f"inputs must be a dict of arrays by the names of inputs, {', '.join(named)}")
    return inputs


def _drawn_inputs(
    count: int, space: tuple[int, ...], values: Any, bands: str | Sequence[int], most: int
) -> tuple[Array | None, str]:
    """Curves or pixels of the first `most` inputs, and a note on their channels; None where bars are drawn."""
    if values is None:
        return None, ""
    array = channels_last(values, (count, *space))[:most]
    if len(space) == 1:
        return _curves(array) if np.ndim(values) == 3 else (None, "")
    draw = pixels_of if len(space) == 2 else volume_pixels
    return draw(array, bands), bands_title(array.shape[-1], bands)


def _curves(series: Array) -> tuple[Array, str]:
    """The channels of series (N, T, C), or the mean of many."""
    if series.shape[-1] <= CURVES:
        return series, ""
    return series.mean(-1, keepdims=True, dtype="float64"), f", mean of {series.shape[-1]} channels"


def _checked_names(names: Sequence[str], space: tuple[int, ...], drawn: Array | None, values: Any) -> tuple[str, ...]:
    """The names of features or curves; none for the mean of curves; ValueError for another number of them."""
    if len(space) > 1 or not len(names):
        return ()
    count = space[0] if drawn is None else channels_last(values, (len(drawn), *space)).shape[-1]
    if len(names) != count:
        raise ValueError(
            f"names must be {count}, one per {'feature' if drawn is None else 'channel'}, got {len(names)}"
        )
    return tuple(map(str, names)) if drawn is None or drawn.shape[-1] == count else ()
