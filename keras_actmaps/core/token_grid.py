"""Token grids: the patches of an image as tokens (N, T, D), and layers of tokens as features (N, h, w, D)."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from keras_actmaps.core._keras_compat import all_layers
from keras_actmaps.core.attention import Attention, find_attention, pooled_tokens, slots_without_features
from keras_actmaps.core.batch_factors import batch_factors
from keras_actmaps.core.expand import Rearranged
from keras_actmaps.core.graph import Graph, Node, make_node, single_input_node
from keras_actmaps.core.types import Slot, Tensor

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.Conv3D)


@dataclass(frozen=True)
class Merge:
    """Features (N, h, w, D) as tokens again, behind the first ones of `tokens`."""

    prefix: int

    def __call__(self, parts: list) -> Tensor:
        features, tokens = parts
        flat = ops.reshape(features, (-1, tokens.shape[1] - self.prefix, features.shape[-1]))
        return ops.concatenate([tokens[:, : self.prefix], flat], axis=1) if self.prefix else flat


def grid_shape(graph: Graph, slot: Slot, rank: int, channels_first: Iterable[Slot] = ()) -> tuple[int, ...] | None:
    """The spatial shape of the features that tokens are made of, such as (h, w) of the convolution of patches.

    None where no features with known sizes lead to the tokens, or where they have more positions than there are tokens.

    Parameters
    ----------
    graph, slot
        Where the tokens are.
    rank : int
        Number of axes of the features, 4 for images.
    channels_first : iterable of int
        The slots of tensors (N, C, h, w).
    """
    first = set(channels_first)
    for node in reversed(graph.ancestors([slot])):
        found = _space_of(node, graph, rank, first)
        if found is not None and None not in found:
            return found
    return None


def _space_of(node: Node, graph: Graph, rank: int, channels_first: set[Slot]) -> tuple | None:
    """The spatial shape of a node's output, or of the convolution inside a layer that returns tokens; None of others.

    The features of attention have as many axes as images have, but are no such features.
    """
    shape = graph.shapes[node.writes[0]]
    if len(shape) == rank:
        return shape[2:] if node.writes[0] in channels_first else shape[1:-1]
    read = graph.shapes[next(iter(node.reads.values()))] if node.reads else ()
    layer: Any = node.operation
    if len(read) != rank or not isinstance(layer, keras.layers.Layer):
        return None
    inside = [part for part in all_layers(layer)[1:] if isinstance(part, CONVOLUTIONS)]
    if len(inside) != 1:
        return None
    shape = inside[0].compute_output_shape(read)
    return shape[2:] if inside[0].data_format == "channels_first" else shape[1:-1]


@dataclass(frozen=True)
class TokenGrid:
    """The tokens of a model of images.

    Attributes
    ----------
    attentions : list of Attention
    count : int
        Number of tokens T.
    shape : tuple of int
        The grid (h, w) of patches.
    pooled : tuple of int
        Numbers of the tokens that the outputs are computed from.
    """

    attentions: tuple[Attention, ...]
    count: int
    shape: tuple[int, ...]
    pooled: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of patches, h w."""
        return _product(self.shape)

    @property
    def prefix(self) -> int:
        """The number of tokens before the patches: 1 for a class token, more with registers."""
        return self.count - self.size

    @property
    def is_class_pooled(self) -> bool:
        """Whether the outputs depend on tokens before the patches only, so that those of the last block do not."""
        return all(number < self.prefix for number in self.pooled)

    def prefix_of(self, shape: tuple) -> int | None:
        """Tokens before the patches in a tensor of this shape: of all tokens, or 0 without them; None of others."""
        if len(shape) != 3 or shape[1] not in (self.count, self.size):
            return None
        return shape[1] - self.size


def token_grid(
    graph: Graph, rank: int, channels_first: Iterable[Slot] = (), user_grid: Sequence[int] | None = None
) -> TokenGrid | None:
    """The token grid of a graph whose inputs have `rank` axes; None for a model without one, or with windows."""
    attentions = find_attention(graph)
    if not attentions or rank < 4:
        return None
    last = attentions[-1]
    tokens = graph.shapes[last.tokens]
    factors = batch_factors(graph)
    if len(tokens) != 3 or tokens[1] is None or any(factors.get(one.tokens, 1) != 1 for one in attentions):
        return None
    first = attentions[0].tokens
    shape = tuple(user_grid) if user_grid is not None else grid_shape(graph, first, rank, channels_first)
    if shape is None or not 0 <= tokens[1] - _product(shape) < _product(shape):
        return None
    return TokenGrid(tuple(attentions), tokens[1], shape, pooled_tokens(graph, last))


@dataclass(frozen=True)
class GridSetting:
    """The grid of patches and the number of tokens before them, as the user set them, or None."""

    shape: tuple[int, ...] | None
    prefix: int | None

    def prefix_of(self, tokens: int) -> int | None:
        """The tokens before the patches of this number; None where the grid does not fit."""
        before = tokens - _product(self.shape or ())
        fits = 0 <= before < _product(self.shape or ()) if self.prefix is None else before == self.prefix
        return before if fits else None


def token_layers(
    graph: Graph, rank: int, channels_first: Iterable[Slot], grid: TokenGrid | None, setting: GridSetting
) -> dict[Slot, tuple[tuple[int, ...], int]]:
    """The slots of tokens (N, T, D) with their grids and the numbers of tokens before the patches.

    Where tokens are merged between blocks, each has the grid of the nearest features with as many positions.
    """
    tokens = {slot: shape[1] for slot, shape in graph.shapes.items() if len(shape) == 3 and shape[1] is not None}
    hidden = slots_without_features(graph)
    if rank < 4 or not (hidden or setting.shape):
        return {}
    if setting.shape is not None:
        found = {slot: (setting.shape, setting.prefix_of(count)) for slot, count in tokens.items()}
        return {slot: (shape, one) for slot, (shape, one) in found.items() if one is not None and slot not in hidden}
    if grid is not None:
        pairs = {slot: grid.prefix_of(graph.shapes[slot]) for slot in tokens}
        return {slot: (grid.shape, one) for slot, one in pairs.items() if one is not None and slot not in hidden}
    spaces = _spaces_above(graph, rank, set(channels_first), hidden)
    return {
        slot: (spaces[slot][count], 0) for slot, count in tokens.items() if slot not in hidden and count in spaces[slot]
    }


def _spaces_above(graph: Graph, rank: int, first: set[Slot], hidden: Container[Slot]) -> dict[Slot, dict]:
    """For each slot the spatial shapes of the features that lead to it, by their number of positions."""
    found: dict[Slot, dict[int, tuple]] = {slot: {} for slot in graph.inputs}
    for node in graph.nodes:
        above = {count: space for slot in node.reads.values() for count, space in found[slot].items()}
        space = None if node.writes[0] in hidden else _space_of(node, graph, rank, first)
        own = {_product(space): space} if space is not None and None not in space else {}
        found.update({slot: {**above, **own} for slot in node.writes})
    return found


def with_grid_layers(graph: Graph, paths: Iterable[str], grids: Mapping[Slot, tuple[tuple[int, ...], int]]) -> Graph:
    """The graph in which the outputs of layers of tokens are features (N, h, w, D); their readers are unchanged."""
    for path in paths:
        slot = graph.slot_of[path]
        if slot in grids:
            shape, prefix = grids[slot]
            graph = _as_features(graph, slot, prefix, shape)
    return graph


def _as_features(graph: Graph, slot: Slot, prefix: int, space: tuple[int, ...]) -> Graph:
    """Insert the features of the patches, and their merge with the other tokens, between a slot and its readers."""
    written, features = 1 + max(graph.shapes), 2 + max(graph.shapes)
    width = graph.shapes[slot][-1]
    shapes = {**graph.shapes, written: graph.shapes[slot], features: (None, *space, width)}
    to_grid = Rearranged(lambda tokens: ops.reshape(tokens[:, prefix:], (-1, *space, tokens.shape[-1])))
    nodes = []
    for node in graph.nodes:
        if slot not in node.writes:
            nodes.append(node)
            continue
        nodes.append(replace(node, writes=tuple(written if other == slot else other for other in node.writes)))
        nodes.append(single_input_node(node.path, to_grid, written, (features,), shapes))
        nodes.append(make_node(f"{node.path}.tokens", Rearranged(Merge(prefix)), [features, written], (slot,), shapes))
    slot_of = {path: features if other == slot else other for path, other in graph.slot_of.items()}
    return replace(graph, nodes=tuple(nodes), slot_of=slot_of, shapes=shapes)


def _product(sizes: Iterable[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
