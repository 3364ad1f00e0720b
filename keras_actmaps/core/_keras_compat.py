"""The private parts of Keras that the package relies on, in one place.

Nothing else in the package imports `keras.src` or reads an attribute of Keras that begins with an underscore.
"""

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask
from keras.src.models.functional import Functional
from keras.src.ops.numpy import GetItem
from keras.src.ops.symbolic_arguments import SymbolicArguments

__all__ = ["Functional", "SymbolicArguments"]


class InputSpec(NamedTuple):
    """Name, shape (None for the batch and unknown sizes, () if unknown) and dtype of an input of a model."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def symbolic_function(model: keras.Model) -> keras.Function | None:
    """The graph behind a Sequential or functional model whose `call` is Keras' own; None for any other."""
    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        return model._functional
    if isinstance(model, Functional) and type(model).call is Functional.call:
        return model
    return None


def ordered_nodes(function: keras.Function) -> list:
    """The nodes of a Keras function in the order in which Keras runs them."""
    by_depth = function._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def output_structure(function: keras.Function) -> Any:
    """The outputs of a Keras function in their structure."""
    return function._outputs_struct


def takes_training(operation: Any) -> bool:
    """Whether Keras passes `training` to the operation's `call`."""
    return bool(getattr(operation, "_call_has_training_arg", False))


def call_takes_training(model: keras.Model) -> bool:
    """Whether the `call` of a subclassed model has a parameter `training`."""
    return "training" in inspect.signature(model.call).parameters


def call_names(model: keras.Model) -> list[str]:
    """The parameters of a subclassed model's `call`, if it takes several inputs as separate arguments; [] otherwise."""
    parameters = inspect.signature(model.call).parameters.values()
    required = [one.name for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    names = [name for name in required if name not in ("training", "mask")]
    return names if len(names) > 1 else []


def call_arguments(model: keras.Model, inputs: Any) -> tuple:
    """The positional arguments of a model's `call` for inputs in the structure of `input_structure`."""
    return tuple(inputs) if not isinstance(model, keras.Sequential) and call_names(model) else (inputs,)


def trains_by_default(operation: Any) -> bool:
    """Whether Keras calls the layer with `training=True` where nobody sets it, because its `call` says so."""
    parameter = inspect.signature(operation.call).parameters.get("training")
    return parameter is not None and parameter.default is True


def input_structure(model: keras.Model) -> Any:
    """The inputs of a built model, as `InputSpec` in the structure in which `call` takes them; None if unknown."""
    if isinstance(model, Functional):
        return _named(model._inputs_struct)
    if getattr(model, "inputs", None):
        (one,) = model.inputs
        return InputSpec(one.name, _batch(one.shape), one.dtype)
    built = getattr(model, "_build_shapes_dict", None) or {}
    names = call_names(model)
    if names and built:  # of which Keras keeps the shape of the first alone, unless `build` takes the others
        shapes = [*built.values(), *[None] * len(names)][: len(names)]
        dtype = keras.backend.floatx()
        return [InputSpec(name, _batch(shape) if shape else (), dtype) for name, shape in zip(names, shapes)]
    shapes = [shape for shape in built.values() if isinstance(shape, (tuple, list, dict)) and shape]
    return _spec_of(shapes[0] if len(shapes) == 1 else shapes or None, "input")


def input_specs(model: keras.Model) -> list[InputSpec]:
    """The inputs of a built model in the order of the flattened structure; [] if they are unknown."""
    structure = input_structure(model)
    return [] if structure is None else flat_specs(structure)


def flat_specs(structure: Any) -> list[InputSpec]:
    """The specifications in a structure of inputs, flattened as Keras does."""
    if isinstance(structure, InputSpec):
        return [structure]
    values = [structure[key] for key in sorted(structure)] if isinstance(structure, dict) else structure
    return [spec for value in values for spec in flat_specs(value)]


def fill_specs(structure: Any, values: Any) -> Any:
    """The structure of inputs with the next of the iterator `values` in the place of each specification."""
    if isinstance(structure, InputSpec):
        return next(values)
    if isinstance(structure, dict):
        return {key: fill_specs(structure[key], values) for key in sorted(structure)}
    return type(structure)(fill_specs(value, values) for value in structure)


def get_columns() -> keras.Operation:
    """The operation that indexes a tensor."""
    return GetItem()


def _named(inputs: Any, key: str | None = None) -> Any:
    """Nested symbolic inputs as `InputSpec`, named by their keys in a dict, or else as the tensors are."""
    if isinstance(inputs, Mapping):
        return {key: _named(value, str(key)) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [_named(value) for value in inputs]
    return InputSpec(key or inputs.name, _batch(inputs.shape), inputs.dtype)


def _spec_of(shapes: Any, name: str) -> Any:
    """Nested shapes as `InputSpec`, named by their keys or positions."""
    if shapes is None:
        return None
    if isinstance(shapes, Mapping):
        return {key: _spec_of(shape, str(key)) for key, shape in shapes.items()}
    if all(side is None or isinstance(side, int) for side in shapes):
        return InputSpec(name, _batch(shapes), keras.backend.floatx())
    return type(shapes)(_spec_of(shape, f"{name}_{number}") for number, shape in enumerate(shapes))


def _batch(shape: Any) -> tuple:
    """A shape with None for the batch."""
    return (None, *tuple(shape)[1:])


def all_layers(layer: keras.layers.Layer) -> list:
    """The layer and all layers inside it."""
    return list(layer._flatten_layers())


def attributes(layer: Any) -> dict[str, Any]:
    """The attributes of a layer by name, with the layers that PyTorch registers as modules."""
    return {**vars(layer), **vars(layer).get("_modules", {})}


def shallow_copy(layer: Any, **attributes: Any) -> Any:
    """A copy of a layer on the same variables with other attributes.

    Python's copy protocol is not used, because Keras implements it as saving and loading.
    """
    copy = object.__new__(type(layer))
    copy.__dict__.update(layer.__dict__, **attributes)
    return copy


def detached_copy(layer: Any) -> Any:
    """A shallow copy of a layer that belongs to no graph yet."""
    return shallow_copy(layer, _inbound_nodes=[], _outbound_nodes=[])


def with_dtype_policy(layer: Any, policy: str) -> Any:
    """A shallow copy of a layer under another dtype policy, such as "mixed_bfloat16"; it stays quantized."""
    mode, is_quantized, _ = layer.dtype_policy.name.rpartition("_from_")
    policies = keras.dtype_policies
    other = policies.get(f"{mode}_from_{policy}") if is_quantized else policies.DTypePolicy(policy)
    other._variable_dtype = layer.variable_dtype  # Keras casts variables where it differs from the dtype of the layer
    return shallow_copy(layer, _dtype_policy=other)


def effective_kernel(layer: Any) -> Any:
    """The kernel with which a layer computes: of a quantized layer the dequantized one."""
    mode = quantization_mode(layer)
    if mode is None:
        return layer.kernel
    if mode == "float8":
        return keras.quantizers.quantize_and_dequantize(
            keras.ops.convert_to_tensor(layer._kernel), layer.kernel_scale, "float8_e4m3fn", layer.compute_dtype
        )
    bare = shallow_copy(layer, activation=None, use_bias=False, bias=None)
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum_kernel(bare)
    return bare(keras.ops.eye(layer.input_spec.axes[-1]))  # a row of the identity is quantized without error


def quantization_mode(layer: Any) -> str | None:
    """The mode in which a layer is quantized, such as "int8"; None if it is not."""
    return getattr(layer, "quantization_mode", None)


def _einsum_kernel(bare: Any) -> Any:
    """The dequantized kernel of an EinsumDense layer, from its outputs at unit vectors."""
    inputs, kernel, outputs = bare.equation.replace("...", "*").replace("->", ",").replace(" ", "").split(",")
    sizes = dict(zip(kernel, getattr(bare, "original_kernel_shape", None) or bare._kernel.shape))
    read = [label for label in inputs if label in sizes]  # contracted, or shared with the outputs
    count = math.prod(sizes[label] for label in read)
    batch = next(label for label in inputs if label not in sizes)
    shape = [count if label == batch else sizes.get(label, 1) for label in inputs]
    found = bare(keras.ops.reshape(keras.ops.eye(count), shape))
    shared = tuple(axis for axis, label in enumerate(outputs) if label in read)
    found = keras.ops.sum(found, axis=shared) if shared else found
    new = [label for label in outputs if label in sizes and label not in read]
    found = keras.ops.reshape(found, [sizes[label] for label in (*read, *new)])
    return keras.ops.transpose(found, [(*read, *new).index(label) for label in kernel])


def with_kernel(layer: Any, kernel: Any) -> Any:
    """A shallow copy of a layer that applies `kernel` alone: no bias, no low-rank update, no quantization."""
    policy = keras.dtype_policies.DTypePolicy(layer.compute_dtype)
    return shallow_copy(
        layer, kernel=kernel, _kernel=kernel, lora_enabled=False, use_bias=False, bias=None, _dtype_policy=policy
    )


def causal_padding(layer: Any) -> Any:
    """The padding of a causal convolution, in the form of `keras.ops.pad`."""
    return layer._compute_causal_padding()


def producer(tensor: keras.KerasTensor) -> tuple[Any, list]:
    """The operation that made a symbolic tensor, and the tensors that it read."""
    operation, index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[index].input_tensors


def set_mask(tensor: Any, mask: Any) -> Any:
    """The tensor with the mask that Keras' layers hand on."""
    set_keras_mask(tensor, mask)
    return tensor


def keep_mask(tensor: Any, source: Any) -> Any:
    """The tensor with the mask of the tensor from which it was computed."""
    mask = get_keras_mask(source)
    return tensor if mask is None else set_mask(tensor, mask)


def producing_node(tensor: keras.KerasTensor) -> Any:
    """The node of Keras' graph that made a symbolic tensor; None for an input."""
    operation, index, _ = getattr(tensor, "_keras_history", None) or (None, 0, 0)
    nodes = getattr(operation, "_inbound_nodes", [])
    return nodes[index] if operation is not None and index < len(nodes) and not nodes[index].is_input else None


def get_mask(tensor: Any) -> Any:
    """The mask that a tensor carries; None without one."""
    return get_keras_mask(tensor)


def own_variables(layer: Any) -> list:
    """The variables that a layer itself has created, not those of layers inside it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


@contextmanager
def kept_calls(layers: list) -> Iterator[None]:
    """A context after which layers have forgotten the symbolic calls that were made in it."""
    lists = [calls for layer in layers for calls in (layer._inbound_nodes, layer._outbound_nodes)]
    lengths = [len(calls) for calls in lists]
    try:
        yield
    finally:
        for calls, length in zip(lists, lengths):
            del calls[length:]
