"""Relevance through some channels of a layer (concept relevance propagation, Achtibat et al. 2023)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from keras import ops

from keras_actmaps.core.graph import Graph
from keras_actmaps.core.settings import show
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.core.validation import matching_paths

Keep: TypeAlias = int | tuple[int, ...] | list[int] | None


def layer_slot(graph: Graph, layer: str, name: str) -> Slot:
    """The slot of a layer's output in a linearized graph; ValueError if it has none, or no channels."""
    written = {slot for node in graph.nodes for slot in node.writes}
    known = {path: slot for path, slot in graph.slot_of.items() if slot in written}
    found = matching_paths(layer, known)
    if len(found) != 1:
        raise ValueError(
            f"channels_of: {'more than one' if found else 'no'} layer {show(layer)} in {name!r} that is not folded "
            f"into another one; choices: {', '.join(found or known)}"
        )
    slot = known[found[0]]
    if len(graph.shapes[slot]) < 2 or graph.shapes[slot][-1] is None:
        raise ValueError(f"channels_of: layer {found[0]!r} has no channels; its outputs are {graph.shapes[slot]}")
    return slot


def check_channels(graph: Graph, layer: str | None, keep: Keep, name: str) -> None:
    """ValueError for an unknown layer, and for channels that it does not have."""
    if layer is None:
        if keep is not None:
            raise ValueError(f"keep={show(keep)} needs channels_of, the layer whose channels are meant")
        return
    count = graph.shapes[layer_slot(graph, layer, name)][-1]
    outside = [channel for channel in _listed(keep) if not 0 <= channel < count]
    if outside:
        raise ValueError(f"keep: channel {outside[0]} does not exist; layer {layer!r} has channels 0 to {count - 1}")


def through_channels(
    propagate: Callable,
    graph: Graph,
    values: Mapping[Slot, Tensor],
    start: Mapping[Slot, Tensor],
    layer: str | None,
    keep: Keep,
    name: str,
) -> Mapping[Slot, Tensor]:
    """What `propagate(values, start)` brings to the slots through channels of a layer; everything without a layer."""
    arrived = propagate(values, start)
    if layer is None:
        return arrived
    slot = layer_slot(graph, layer, name)
    nothing = {slot: ops.zeros_like(values[slot]) for slot in graph.inputs}
    return nothing | propagate(values, {slot: keep_channels(arrived[slot], keep)})


def keep_channels(relevance: Tensor, keep: Keep) -> Tensor:
    """Relevance (N, ..., C) with that of the other channels set to 0."""
    if keep is None:
        return relevance
    kept = np.zeros(relevance.shape[-1], "float32")
    kept[list(_listed(keep))] = 1
    return relevance * ops.convert_to_tensor(kept)


def _listed(keep: Keep) -> Sequence[int]:
    return () if keep is None else (keep,) if isinstance(keep, int) else keep
