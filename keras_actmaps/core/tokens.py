"""Models of token ids: cut at the embeddings' outputs, so that methods see floating inputs (N, T, D).

The embeddings become columns of the table of all inputs (`core.several_inputs`). The ids stay in the table as well, for
whatever else reads them: masks, positions, a second model. Methods that hide parts of an input see one number for each
word instead (`Words`), which blends its embeddings with those of the baseline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_actmaps.backend import eager_scope, to_numpy
from keras_actmaps.core._keras_compat import InputSpec, SymbolicArguments, all_layers, input_specs, set_mask
from keras_actmaps.core.expand import Rearranged
from keras_actmaps.core.graph import Graph, Node, run_nodes
from keras_actmaps.core.settings import show
from keras_actmaps.core.several_inputs import Part
from keras_actmaps.core.types import Array, Slot, Tensor

NOT_TOKENS = ("segment_ids", "token_type_ids", "position_ids")  # integers beside the tokens of a text
MASKS = ("padding_mask", "attention_mask")
SAME = ("Cast", "Identity", "Dropout")  # what ids may pass through before their embedding
INTEGERS_FROM = ("Cast", "Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "Identity", "Dropout")
PAD = 0  # the id of padding where nothing else says so


@dataclass(frozen=True, eq=False)
class Tokens:
    """An input of token ids.

    Attributes
    ----------
    name : str
        Name of the input.
    slot : int
        Its slot in the graph.
    nodes : tuple of Node
        The embeddings that are reached from it first.
    dtype : str
        Dtype in which the model takes it.
    """

    name: str
    slot: Slot
    nodes: tuple[Node, ...]
    dtype: str

    @property
    def size(self) -> int:
        """The number of tokens of the smallest vocabulary."""
        return min(node.operation.input_dim for node in self.nodes)

    @property
    def has_mask(self) -> bool:
        """Whether an embedding masks the padding."""
        return any(node.operation.mask_zero for node in self.nodes)


def may_read_tokens(model: Any) -> bool:
    """Whether a Keras model has an embedding and an input (N, T), so that it is traced for the shape of its inputs."""
    if not isinstance(model, keras.Model):
        return False
    has_embedding = any(isinstance(one, keras.layers.Embedding) for one in all_layers(model))
    return has_embedding and any(len(spec.shape) == 2 for spec in input_specs(model))


def tokens_of(graph: Graph, specs: Sequence[InputSpec]) -> tuple[Tokens, ...]:
    """The inputs of a graph that are token ids: those of which the outputs read embeddings, position by position."""
    found = []
    for spec, slot in zip(specs, graph.inputs):
        if len(spec.shape) != 2 or spec.name in NOT_TOKENS:
            continue
        nodes = _first_embeddings(graph, slot)
        if nodes and (not keras.backend.is_float_dtype(spec.dtype) or _reads_integers(graph, slot)):
            found.append(Tokens(spec.name, slot, nodes, spec.dtype))
    return tuple(found)


def _first_embeddings(graph: Graph, slot: Slot) -> tuple[Node, ...]:
    """The embeddings (N, T, D) of the ids themselves, not of positions or segments that are computed from them."""
    reached, nodes = {slot}, []
    for node in graph.nodes:
        reads = set(node.reads.values())
        if not reads or not reads <= reached:
            continue
        if not isinstance(node.operation, keras.layers.Embedding):
            if type(node.operation).__name__ in SAME:
                reached.update(node.writes)
        elif len(graph.shapes[node.writes[0]]) == 3 and graph.shapes[node.writes[0]][1] == graph.shapes[slot][1]:
            nodes.append(node)
    return tuple(nodes)


def _reads_integers(graph: Graph, slot: Slot) -> bool:
    """Whether all that reads a floating input takes its values as integers."""
    readers = [node.operation for node in graph.nodes if slot in node.reads.values()]
    return all(isinstance(one, keras.layers.Embedding) or type(one).__name__ in INTEGERS_FROM for one in readers)


def token_parts(parts: Sequence[Part], tokens: Sequence[Tokens]) -> tuple[Part, ...]:
    """The columns of a table that has the embeddings as well: the inputs, ids as integers, and then the embeddings."""
    names = {one.name for one in tokens}
    found = [replace(one, name=f"{one.name}/ids", dtype="int32") if one.name in names else one for one in parts]
    for one in tokens:
        (length,) = next(part.shape for part in parts if part.name == one.name)
        for number, node in enumerate(one.nodes):
            size = node.operation.output_dim
            start = found[-1].stop if found[-1].start >= parts[-1].stop else parts[-1].stop
            name = one.name if number == 0 else f"{one.name}/{number}"
            found.append(Part(name, (length, size), "float32", False, start, start + length * size))
    return tuple(found)


def cut(graph: Graph, tokens: Sequence[Tokens]) -> Graph:
    """The graph with the outputs of the embeddings as further inputs, whose masks still come from the ids."""
    slots, nodes, shapes = list(graph.inputs), {id(node): node for node in graph.nodes}, dict(graph.shapes)
    for node in (node for one in tokens for node in one.nodes):
        (written,), (ids,) = node.writes, set(node.reads.values())
        if node.operation.mask_zero:
            arrived = 1 + max(shapes)
            shapes[arrived] = shapes[written]
            symbols = keras.KerasTensor(shapes[arrived]), keras.KerasTensor(shapes[ids], "int32")
            reads = dict(zip(map(id, symbols), (arrived, ids)))
            nodes[id(node)] = Node(node.path, Rearranged(_masked), SymbolicArguments(*symbols), reads, (written,))
            slots.append(arrived)
        else:
            del nodes[id(node)]
            slots.append(written)
    return replace(graph, nodes=tuple(nodes.values()), inputs=tuple(slots), shapes=shapes)


def _masked(embeddings: Tensor, ids: Tensor) -> Tensor:
    """Embeddings as they are, masked where the id is 0, as by `Embedding(mask_zero=True)`."""
    return set_mask(embeddings, ops.not_equal(ids, 0))


def embed(graph: Graph, tokens: Tokens, ids: Array) -> list[Array]:
    """The embeddings (N, T, D) of ids, from each of the embeddings of an input."""
    slots = [node.writes[0] for node in tokens.nodes]
    with eager_scope():
        values = run_nodes(graph.ancestors(slots), {tokens.slot: ops.convert_to_tensor(ids, tokens.dtype)})
        return [to_numpy(ops.cast(values[slot], "float32")) for slot in slots]


def tokenized(model: Any, inputs: Any) -> Any:
    """Strings as the inputs that the preprocessor of a keras_hub model makes of them; anything else unchanged.

    Raises ValueError for strings for a model of token ids without a preprocessor.
    """
    if not is_text(inputs):
        return inputs
    source = getattr(model, "source", model)
    preprocessor = getattr(source, "preprocessor", None)
    if preprocessor is not None:
        found = preprocessor(np.atleast_1d(inputs).tolist())
        return keras.tree.map_structure(to_numpy, found)
    if may_read_tokens(source):
        raise ValueError(
            f"{source.name!r} takes token ids (N, T), not strings: pass the ids, or a keras_hub model with its "
            "preprocessor"
        )
    return inputs


def is_text(inputs: Any) -> bool:
    """Whether these are a string, or a list or array of strings."""
    if isinstance(inputs, str):
        return True
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind in "OSU" and bool(inputs.size) and isinstance(inputs.flat[0], (str, bytes))
    return isinstance(inputs, (list, tuple)) and bool(inputs) and isinstance(inputs[0], (str, bytes))


def validate_ids(inputs: Any, tokens: Tokens, model: str) -> Array:
    """Token ids (N, T) as int32; ValueError for fractions and ids outside of the vocabulary."""
    array = np.asarray(inputs)
    if array.dtype.kind not in "iufb" or not (np.isfinite(array) & (array == np.round(array))).all():
        raise ValueError(f"input {tokens.name!r} of type {array.dtype} must be token ids, which are integers")
    outside = np.argwhere((array < 0) | (array >= tokens.size))
    if len(outside):
        where = tuple(outside[0])
        raise ValueError(
            f"token {int(array[where])} of text {where[0]} is not in the vocabulary; {model!r} has tokens 0 to "
            f"{tokens.size - 1}"
        )
    return array.astype("int32")


def padding(inputs: Mapping[str, Array], tokens: Tokens) -> Array:
    """Where a text is padded (N, T), from the masks that the model has: False everywhere if it has none."""
    ids = inputs[tokens.name]
    is_padded = ids == PAD if tokens.has_mask else np.zeros(ids.shape, bool)
    for name in MASKS:
        if name in inputs and inputs[name].shape == ids.shape:
            is_padded = is_padded | (inputs[name] == 0)
    return is_padded


def special_ids(model: Any) -> dict[str, int | None]:
    """The ids of the padding and of the mask token, as the tokenizer of a keras_hub model names them."""
    tokenizer = getattr(getattr(model, "preprocessor", None), "tokenizer", None)
    pad = getattr(tokenizer, "pad_token_id", None)
    return {"pad": PAD if pad is None else int(pad), "mask": getattr(tokenizer, "mask_token_id", None)}


def baseline_id(baseline: Any, tokens: Tokens, special: Mapping[str, int | None]) -> int | None:
    """The id of a baseline: of "pad" or "mask", or an id; None for "zero" and for embeddings."""
    if isinstance(baseline, str) and baseline in ("pad", "mask"):
        found = special.get(baseline)
        if found is None:
            raise ValueError(f"baseline={baseline!r}, but the model does not name its {baseline} token; pass its id")
        return found
    if isinstance(baseline, str) or np.ndim(baseline):
        if not isinstance(baseline, str) or baseline == "zero":
            return None
        raise ValueError(f"the baseline of tokens must be 'pad', 'mask', 'zero' or an id, got {baseline!r}")
    if baseline != int(baseline) or not 0 <= baseline < tokens.size:
        raise ValueError(f"baseline must be an id of 0 to {tokens.size - 1}, got {show(baseline)}")
    return int(baseline)


@dataclass(frozen=True)
class Words:
    """The words of one text in the place of an input: 1 keeps a word, 0 replaces its tokens by the baseline.

    Attributes
    ----------
    parts : tuple of Part
        The columns of the embeddings of the tokens.
    count : int
        Number of words.
    """

    parts: tuple[Part, ...]
    count: int

    @property
    def shape(self) -> tuple[int]:
        """The shape of one example."""
        return (self.count,)

    def into(self, kept: Tensor, table: Tensor, baseline: Tensor, groups: Tensor) -> Tensor:
        """The table (n, F) for the words (n, count) that are kept.

        table, baseline: (1, F), of the text and with the embeddings of the baseline. groups: (T,), the word of each
        token, or `count` for one that is always kept.
        """
        rows = ops.shape(kept)[0]
        always = ops.concatenate([kept, ops.ones((rows, 1), kept.dtype)], axis=1)
        of_tokens = ops.take(always, groups, axis=1)
        columns = [ops.repeat(table[:, : self.parts[0].start], rows, axis=0)]
        for part in self.parts:
            share = ops.reshape(ops.repeat(of_tokens, part.shape[1], axis=1), (rows, part.stop - part.start))
            own, other = (values[:, part.start : part.stop] for values in (table, baseline))
            columns.append(share * own + (1 - share) * other)
        columns.append(ops.repeat(table[:, self.parts[-1].stop :], rows, axis=0))
        return ops.concatenate(columns, axis=1)


def embedding_parts(parts: Sequence[Part], tokens: Tokens) -> tuple[Part, ...]:
    """The columns of the embeddings of an input, which follow each other."""
    names = {tokens.name, *(f"{tokens.name}/{number}" for number in range(1, len(tokens.nodes)))}
    return tuple(part for part in parts if part.name in names and part.is_floating)
