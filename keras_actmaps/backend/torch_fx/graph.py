"""A channels-last Keras model from the traced graph of a PyTorch module."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import torch
from keras import tree
from torch import fx

from keras_actmaps.backend.torch_fx.converters import CONVERTERS, Call, Converted, identity
from keras_actmaps.backend.torch_fx.layers import (
    TorchOperation,
    keras_input,
    renamed_class,
    symbolic_tensor,
    to_channels_last,
    unchanged,
)
from keras_actmaps.backend.torch_fx.names import KERAS_NAMES, canonical_name, torch_name
from keras_actmaps.backend.torch_fx.trace import Trace, map_outputs

LAST_AXIS = ("linear", "layernorm")  # operations on the last axis
IMAGE_LAYERS = ("conv", "batchnorm", "groupnorm", "instancenorm", "maxpool", "avgpool", "adaptive", "interpolate")


@dataclass
class GraphConverter:
    """Converts a trace into a Keras model.

    Attributes
    ----------
    trace : Trace
    rank : int
        Number of axes of a batch of images.
    tensors : dict of fx.Node to KerasTensor
        The tensors that depend on the images, converted so far.
    channels_last : dict of fx.Node to bool
        Whether the Keras model stores these with their channels last.
    """

    trace: Trace
    rank: int
    tensors: dict[fx.Node, keras.KerasTensor] = field(default_factory=dict)
    channels_last: dict[fx.Node, bool] = field(default_factory=dict)

    def convert(self, name: str, shape: Sequence[int]) -> Any:
        """The Keras model for images of shape (C, H, W)."""
        source = self.trace.input
        self.tensors[source], self.channels_last[source] = keras_input(shape), self.rank > 2
        paths = _node_paths(self.trace)
        for node, path in paths.items():
            self._convert_node(node, path)
        outputs = map_outputs(self.trace.outputs, self._output)
        model: Any = keras.Model(self.tensors[source], outputs, name=name)
        model.containers = {path: paths[node] for path, node in self.trace.containers.items() if node in paths}
        return model

    def _convert_node(self, node: fx.Node, path: str) -> None:
        """Call the equivalent Keras layer, or PyTorch itself if there is none."""
        call = self._describe(node, path)
        self.channels_last[node] = call.output_channels_last
        layer = self._convert_call(call)
        if layer is not None:
            self.tensors[node] = layer(self.tensors[call.argument(0, "input")])
            return
        inputs, inner, function = self.trace.as_function(node, self.tensors)
        read, are_last = [self.tensors[one] for one in inputs], [self.channels_last[one] for one in inputs]
        if self._softmax_axis(node) == self.rank - 1 and are_last[:1] == [True]:  # of one layout before and after
            read[0], are_last[0] = _transposed(f"{path}.scores", read[0]), False
        cls = renamed_class(self._operation_name(call, inner), TorchOperation)
        operation = cls(
            path,
            function,
            tuple(are_last),
            keras.KerasTensor(call.keras_shape),
            to_channels_last if call.output_channels_last else unchanged,
            tuple(name for one in [*inner, node] for name in _inner_names(self.trace.submodule(one))),
        )
        axis = self._softmax_axis(node)
        if axis is not None:
            operation.axis = (axis - 2) % (self.rank - 1) + 1 if call.output_channels_last and axis else axis
        self.tensors[node] = operation(*read)

    def _convert_call(self, call: Call) -> Converted:
        """The Keras layer for a call; None if PyTorch must compute it."""
        converter = identity if call.node in self.trace.identities else CONVERTERS.get(call.name)
        has_hooks = bool(getattr(call.module, "_forward_pre_hooks", None))
        return converter(call) if converter and call.input_shape and not has_hooks else None

    def _describe(self, node: fx.Node, path: str) -> Call:
        """The call that a node makes."""
        module = self.trace.submodule(node)
        inputs = [read for read in node.all_input_nodes if read in self.tensors]
        first: Any = node.args[0] if node.args and node.args[0] in inputs else None
        return Call(
            path=path,
            name=canonical_name(node, module),
            node=node,
            module=module,
            input_shape=() if first is None else self._shape(first),
            output_shape=self._shape(node),
            batch_axis=self.trace.batch_axes[node],
            input_channels_last=self.channels_last.get(first, False),
            output_channels_last=self._stored_channels_last(node, inputs),
            reader=self._reader,
            values=self.trace.values,
        )

    def _stored_channels_last(self, node: fx.Node, inputs: list[fx.Node]) -> bool:
        """Whether an output is stored with its channels last: as its first input of as many axes is.

        A permutation between the two layouts leaves the stored tensor unchanged. The probabilities of attention
        (N, heads, T, T), a softmax over the last axis, are stored as PyTorch has them.
        """
        rank = self.rank
        if rank < 3 or len(self._shape(node)) != rank or self._softmax_axis(node) == rank - 1:
            return False
        if self.trace.batch_axes[node] != 0:
            return False
        known = [self.channels_last[read] for read in inputs if len(self._shape(read)) == rank]
        was_last = known[0] if known else self._is_read_as_image(node)
        to_last, to_first = _permutations(rank)
        changes_layout = _permutation(node, rank) == (to_last if was_last else to_first)
        return was_last != changes_layout

    def _is_read_as_image(self, node: fx.Node) -> bool:
        """Whether a tensor made from one with other axes is (N, C, ...) for the operations that read it.

        Swin's windows, put together again, are (N, ..., C).
        """
        rank, width = self.rank, self._shape(node)[-1]
        readers = [user for user in node.users if user in self.trace.dependent]
        for user in readers:  # grows while it is read
            name = canonical_name(user, self.trace.submodule(user))
            if name in LAST_AXIS or _permutation(user, rank) == _permutations(rank)[1]:
                return False
            if name.startswith(IMAGE_LAYERS):
                return True
            if not _is_tensor(self.trace.values[user]):
                continue
            if len(self._shape(user)) != rank:
                if len(self._shape(user)) == 3 and self._shape(user)[-1] == width:  # (N, ..., C) as tokens
                    return False
                continue
            others = [self.channels_last[read] for read in user.all_input_nodes if self._is_stored(read)]
            if others:
                return others[0]
            readers.extend(other for other in user.users if other in self.trace.dependent and other not in readers)
        return True

    def _is_stored(self, node: fx.Node) -> bool:
        return node in self.channels_last and len(self._shape(node)) == self.rank

    def _softmax_axis(self, node: fx.Node) -> int | None:
        """The axis of a softmax in PyTorch's layout; None for other nodes."""
        module = self.trace.submodule(node)
        if canonical_name(node, module) != "softmax":
            return None
        axis = module.dim if module is not None else node.kwargs.get("dim", node.args[1] if node.args[1:] else None)
        return axis % len(self._shape(node)) if isinstance(axis, int) else None

    def _shape(self, node: fx.Node) -> tuple[int, ...]:
        return tuple(self.trace.values[node].shape)

    def _reader(self, argument: Any) -> Any:
        """The function that returns an argument's current value; None for one that depends on the images."""
        if not isinstance(argument, fx.Node) or argument in self.trace.dependent:
            return None
        return self.trace.as_function(argument, ())[2]

    def _operation_name(self, call: Call, inner: list[fx.Node]) -> str:
        """Keras' name of a PyTorch operation; PyTorch's name if Keras has none."""
        computed = [node for node in inner if node in self.trace.dependent and _has_tensors(self.trace.values[node])]
        names = {KERAS_NAMES.get(canonical_name(node, self.trace.submodule(node))) for node in computed}
        if names <= {"Split"} and call.name in KERAS_NAMES:
            return KERAS_NAMES[call.name]
        node = computed[-1] if computed else call.node
        return torch_name(node, self.trace.submodule(node))

    def _output(self, node: fx.Node) -> keras.KerasTensor:
        """An output of the model, channels last."""
        if self.channels_last[node] or len(self._shape(node)) != self.rank or self.rank < 3:
            return self.tensors[node]
        shape = to_channels_last(torch.empty(self._shape(node), device="meta")).shape
        cls = renamed_class("Transpose", TorchOperation)
        transpose = cls(f"{node.name}@last", to_channels_last, (False,), symbolic_tensor(shape), unchanged)
        return transpose(self.tensors[node])


def _transposed(path: str, tensor: keras.KerasTensor) -> keras.KerasTensor:
    """A tensor that is stored with its channels last, as PyTorch has it."""
    shape = (tensor.shape[0], tensor.shape[-1], *tensor.shape[1:-1])
    cls = renamed_class("Transpose", TorchOperation)
    return cls(path, unchanged, (True,), keras.KerasTensor(shape), unchanged)(tensor)


def _node_paths(trace: Trace) -> dict[fx.Node, str]:
    """A path for each tensor that depends on the images.

    It is that of the module that returns the tensor, or the name of the function within the module around it. The last
    of several calls has this path; those before it have path@1, path@2, ...
    """
    tensors = [node for node in trace.nodes if node in trace.dependent and _is_tensor(trace.values[node])]
    bases = {node: _base_path(node) for node in tensors if node is not trace.input}
    totals, seen = Counter(bases.values()), Counter[str]()
    paths = {}
    for node, base in bases.items():
        seen[base] += 1
        paths[node] = base if seen[base] == totals[base] else f"{base}@{seen[base]}"
    return paths


def _base_path(node: fx.Node) -> str:
    if node.op == "call_module":
        return str(node.target)
    first = next(iter(node.args), None)
    if torch_name(node, None) == "getitem" and isinstance(first, fx.Node) and first.op == "call_module":
        return str(first.target)
    return ".".join([*list(node.meta.get("nn_module_stack", {}))[-1:], torch_name(node, None)])


def _permutations(rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """From channels first to channels last, and back."""
    return (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))


def _permutation(node: fx.Node, rank: int) -> tuple[int, ...] | None:
    """The axes of a `permute`; None for other nodes."""
    if canonical_name(node, None) != "permute":
        return None
    axes: Any = node.kwargs.get("dims") or (node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:])
    return tuple(axis % rank for axis in axes)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _has_tensors(value: Any) -> bool:
    return any(map(_is_tensor, tree.flatten(value)))


def _inner_names(module: torch.nn.Module | None) -> tuple[str, ...]:
    """The names of the classes and activation functions inside a module that is called as a whole."""
    if module is None:
        return ()
    inside = list(module.modules())
    activations = (getattr(part, "activation", None) for part in inside)
    names = [getattr(activation, "__name__", "") for activation in activations]
    names += [part.nonlinearity for part in inside if isinstance(part, torch.nn.RNN | torch.nn.RNNCell)]
    return (*(type(part).__name__ for part in inside[1:]), *filter(None, names))
