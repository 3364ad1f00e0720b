"""TracedModel: a Keras model traced into a graph, with a layer to explain at. Its public alias is `Probe`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core import validation
from keras_actmaps.core._keras_compat import InputSpec
from keras_actmaps.core.attention import slots_without_features
from keras_actmaps.core.attribution import Attribution, BoundTarget, Target, map_shape, pick
from keras_actmaps.core.class_gradients import map_classes
from keras_actmaps.core.fold import fold_normalization
from keras_actmaps.core.graph import Graph, Node, only_output, run_nodes, symbolic_outputs
from keras_actmaps.core.layout import channels_first_slots, with_last_inputs, with_last_layers
from keras_actmaps.core.linear import with_exact_gradients
from keras_actmaps.core.model_state import has_single_sigmoid, model_state
from keras_actmaps.core.output_activation import has_bounded_outputs, strip_output_activation
from keras_actmaps.core.programs import Programs
from keras_actmaps.core.rewrite import with_precision
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import freeze, show
from keras_actmaps.core.several_inputs import Part, in_order, only_input, pack, part_named, parts_of, with_table
from keras_actmaps.core.token_grid import GridSetting, TokenGrid, token_grid, token_layers, with_grid_layers
from keras_actmaps.core.tokens import (
    Tokens,
    Words,
    cut,
    embed,
    embedding_parts,
    special_ids,
    token_parts,
    tokens_of,
    validate_ids,
)
from keras_actmaps.core.trace import input_specs_of, trace_model
from keras_actmaps.core.types import Array, Slot, Tensor
from keras_actmaps.core.validation import PREDICTED


class TracedModel:
    """A model and a layer, traced once and compiled once for each method and shape.

    Parameters
    ----------
    model : keras.Model or torch.nn.Module
        Modules need Keras on PyTorch, take channels-first images (N, C, H, W), and need `shape`.
    layer : str, int, list or None, default None
        A name, a path into a nested model (`"resnet50/conv5_block3_out"`), an index into `model.layers`, or a list of
        these for methods that fuse layers. None is the last layer with a spatial output.
    shape : tuple of int, tuple of these, or None
        Shape of one input of a module, such as (C, H, W). For a model with several inputs of unknown sizes, the shape
        of one example of each.
    precision : {"float32", "tf32", "bfloat16"}
        "tf32" rounds float32 products to TensorFloat-32 on GPUs that support it; "bfloat16" computes layers with a
        kernel in bfloat16. Maps are float32 in any case.
    xla : bool or None, default None
        Whether to compile with XLA; None is the default of the framework. Only TensorFlow supports both.
    grid : tuple of int or None, default None
        The grid (rows, columns) of the patches that tokens (N, T, D) are made of. None is read from the model.
    prefix : int or None, default None
        The number of tokens before the patches, such as that of the class. None is all that the grid leaves.

    Attributes
    ----------
    graph : Graph
        The traced model, without a softmax or sigmoid at its outputs.
    layer : str, list of str or None
        Path of the layer, or paths of the layers.
    layer_reason : str or None
        Why this layer is the default; None for a layer that was passed.
    grid : TokenGrid or None
        The tokens of a model of images with attention; None for other models.
    parts : tuple of Part
        The inputs of a model with several inputs, which are the columns of one table (N, F); () for a single input.
    has_bounded_outputs : bool
        Whether the outputs still lie between 0 and 1, because no softmax or sigmoid could be separated from them.
    name, input_shape, precision, xla, is_channels_first
        Those of the model, and arguments as passed.

    Raises
    ------
    ValueError
        For a model without weights, and for an unknown layer or precision.
    TypeError
        For a model of another framework.

    Notes
    -----
    The model's weights may change afterwards; its layers may not. The only state is the cache of compiled programs,
    which is thread-safe, so several threads may share one TracedModel. It can be pickled; programs are compiled again
    afterwards.
    """

    has_gradients = True
    _specs: Sequence[InputSpec] = ()

    def __init__(
        self,
        model: Any,
        layer: Any = None,
        shape: Any = None,
        precision: str = "float32",
        xla: bool | None = None,
        grid: Sequence[int] | None = None,
        prefix: int | None = None,
    ):
        backend.check_model(model)
        self._arguments = (layer, shape, precision, xla, grid, prefix)
        self._source = model
        self.is_channels_first = backend.is_torch_module(model)
        if self.is_channels_first:
            model = backend.convert_module(model, shape)
        self.name: str = model.name
        self._specs = specs = input_specs_of(model)
        shapes = None if self.is_channels_first else shape
        graph = strip_output_activation(trace_model(model, shapes))
        self.has_bounded_outputs = has_bounded_outputs(graph)
        self.graph: Graph = with_precision(graph, precision, model.name)
        self._first_slots = channels_first_slots(self.graph)
        self._returns_channels_last = self.is_channels_first
        self._part_slots = self.graph.inputs
        self.input_parts: tuple[Part, ...] = ()
        self.parts: tuple[Part, ...] = ()
        self._example: tuple[Part | Words, tuple] | None = None
        self.tokens: tuple[Tokens, ...] = () if self.is_channels_first else tokens_of(self.graph, specs)
        if len(specs) > 1 or self.tokens:
            self._read_table(specs, shape)
        self.input_shape = self.graph.shapes[self.graph.inputs[0]] if self.parts else specs[0].shape
        if not self.parts and self.graph.inputs[0] in self._first_slots:
            self.is_channels_first = True
            self.graph = with_last_inputs(self.graph)
            self.input_shape = self.graph.shapes[self.graph.inputs[0]]
        self._state = model_state(self._source)
        self.is_binary = has_single_sigmoid(self.graph)
        self.precision, self.xla = precision, xla
        self.variables = tuple(model.weights)
        self._model = model  # keeps an opaque model alive
        self._traced_graph = self.graph
        self._hidden = slots_without_features(self.graph)
        self._read_grid(GridSetting(*validation.validate_grid(grid, prefix)))
        self._views: dict[str, TracedModel] = {}  # by the default layers of single outputs
        self._set_layer(layer)

    def _read_table(self, specs: list, shape: Any) -> None:
        """Let the graph read all inputs, and the embeddings of tokens, from one table."""
        is_first = [slot in self._first_slots for slot in self.graph.inputs]
        shapes = [shape] if shape and np.ndim(shape[0]) == 0 else shape  # of a single input
        self.input_parts = self.parts = parts_of(specs, shapes, is_first, self.name)
        if self.tokens:
            self.embedding_graph, self.special_ids = self.graph, special_ids(self._source)
            self.parts = token_parts(self.parts, self.tokens)
            self.graph = cut(self.graph, self.tokens)
            self._part_slots = self.graph.inputs
        self.graph = with_table(self.graph, self.parts)

    def _read_grid(self, setting: GridSetting) -> None:
        """Find the layers of tokens, and the grids of their patches; ValueError for a grid that fits none."""
        rank, first = len(self.input_shape), self._first_slots
        self.grid_setting = setting
        self.grid: TokenGrid | None = None if self.parts else token_grid(self.graph, rank, first, setting.shape)
        self._token_layers = {} if self.parts else token_layers(self.graph, rank, first, self.grid, setting)
        if setting.shape is not None and not self._token_layers:
            counts = sorted({shape[1] for shape in self.graph.shapes.values() if len(shape) == 3 and shape[1]})
            before = "" if setting.prefix is None else f" and {setting.prefix} tokens before it"
            raise ValueError(
                f"a grid of {' x '.join(map(str, setting.shape))} patches{before} fits no layer of {self.name!r}; its "
                f"layers of tokens have {', '.join(map(str, counts)) or 'no'} tokens"
            )

    def _set_layer(self, layer: Any) -> None:
        """Resolve the layer or layers, whose outputs are channels last in the graph."""
        self.graph = self._traced_graph
        self.layer_reason: str | None = None
        if layer is None and self.grid is not None and self.grid.is_class_pooled:
            layer = self._path_of(self.grid.attentions[-1].tokens)
            self.layer_reason = None if layer is None else "input of the last attention, which the class token reads"
        if layer is None:
            self.layer_reason = validation.default_layer(self.layers, self.graph, tree.flatten(self.graph.outputs))[1]
        self.layer = validation.resolve_layer(layer, self.layers, self.graph, self._model)
        paths = self.layer if isinstance(self.layer, list) else [self.layer] if self.layer else []
        self.graph = with_last_layers(self.graph, paths, self._first_slots)
        self.graph = with_grid_layers(self.graph, paths, self._token_layers)
        self._layer_part = self._part_of(paths)
        self._programs = Programs()
        self._folded: tuple[Graph | None, Graph, Graph] = None, self.graph, self.graph

    def _path_of(self, slot: Slot) -> str | None:
        """The path of the layer that writes a slot, if it may be explained at."""
        return next((path for path in self.layers if self.graph.slot_of[path] == slot), None)

    @property
    def folded(self) -> Graph:
        """The graph with batch normalization folded into adjacent layers; the explained layers' features are kept."""
        return self._derived()[1]

    @property
    def differentiable(self) -> Graph:
        """The folded graph with the gradients of the kernels that quantized layers compute with."""
        return self._derived()[2]

    def _derived(self) -> tuple[Graph | None, Graph, Graph]:
        """The graph, and those made from it, which are kept."""
        if self._folded[0] is not self.graph:
            paths = self.layer if isinstance(self.layer, list) else [self.layer] if self.layer else []
            folded = fold_normalization(self.graph, [self.graph.slot_of[path] for path in paths])
            self._folded = self.graph, folded, with_exact_gradients(folded)
        return self._folded

    def replaced_source(self) -> tuple | None:
        """The model and the arguments, if the layers or variables of the model have been replaced since."""
        if self._source is None or model_state(self._source) == self._state:
            return None
        return self._source, *self._arguments

    def __reduce__(self) -> tuple:
        if self._source is None:
            raise TypeError(f"the traced model of {self.name!r} has released its model and cannot be pickled")
        return type(self), (self._source, *self._arguments)

    @property
    def layers(self) -> list[str]:
        """The paths of the layers with a spatial output, in the order of execution."""
        nodes = (node for node in self.graph.nodes if node.path in self.graph.slot_of)
        return list(dict.fromkeys(node.path for node in nodes if self._is_spatial(node.writes[-1])))

    @property
    def classes(self) -> int | None:
        """The number of classes; 2 for a single sigmoid; None if the outputs are not (N, classes)."""
        output = only_output(self.graph.outputs)
        shape = self.graph.shapes.get(output, ()) if isinstance(output, int) else ()
        return 2 if self.is_binary else shape[-1] if len(shape) == 2 else None

    @property
    def space(self) -> tuple[int | None, ...]:
        """The shape of a map: (H, W) for images, (T,) for sequences, (F,) for tables."""
        if self.layer_part is not None:
            return self.layer_part.space
        return self.input_shape[1:-1] or self.input_shape[1:]

    @property
    def is_table(self) -> bool:
        """Whether inputs are tables (N, F) of several inputs."""
        return bool(self.parts) and self._example is None

    @property
    def source(self) -> Any:
        """The model; None after `release`."""
        return self._source

    @property
    def everything(self) -> Array:
        """Of the model as one of the words of a text, all words (1, count)."""
        return np.ones((1, self.input_shape[1] or 1), "float32")

    @property
    def layer_part(self) -> Part | None:
        """Of several inputs the one that leads to the layer, to whose positions maps at the layer belong."""
        return self._layer_part if self.is_table else None

    def map_space(self, inputs: Any) -> tuple[int, ...]:
        """The shape of a map of these inputs (N, ...)."""
        return map_shape(inputs) if self.layer_part is None else self.layer_part.space

    @property
    def traces(self) -> int:
        """The number of compilations."""
        return self._programs.traces

    def at(self, layer: Any) -> "TracedModel":
        """The model at another layer, on the same graph; compiled programs are not shared."""
        other = self._copy()
        other._arguments = (layer, *self._arguments[1:])
        other._set_layer(layer)
        return other

    def _copy(self) -> "TracedModel":
        """A copy that shares everything, compiled programs included."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def for_target(self, targets: Any) -> "TracedModel":
        """The model at the default layer of the outputs that a target explains, if no layer was chosen."""
        names = targets.explained_outputs if isinstance(targets, Target) else ()
        if not self.has_gradients or self._arguments[0] is not None or not names:
            return self
        outputs = self.graph.outputs
        positions = range(len(outputs)) if isinstance(outputs, (list, tuple)) else ()
        known = outputs if isinstance(outputs, dict) else positions
        if any(name not in known for name in names):
            return self  # which the target itself refuses
        slots = tree.flatten([outputs[name] for name in names])
        layer, reason = validation.default_layer(self.layers, self.graph, slots)
        if layer is None or layer == self.layer:
            return self
        if layer not in self._views:
            self._views[layer] = self.at(layer)
            self._views[layer].layer_reason = reason
        return self._views[layer]

    def perturbing(self, name: str | None, table: Array) -> "TracedModel":
        """The model as one of a single input, for one example of several inputs (1, F).

        Only the input called `name` varies; the others are those of the example. None is the input with spatial axes.
        """
        return self._holding(part_named(name, self.parts), (table,))

    def perturbing_words(
        self, tokens: Tokens, table: Array, baseline: Array, groups: Array, count: int
    ) -> "TracedModel":
        """The model as one of the words of a text, which are kept or replaced; arrays as for `Words.into`."""
        return self._holding(Words(embedding_parts(self.parts, tokens), count), (table, baseline, groups))

    def _holding(self, varied: Part | Words, held: tuple) -> "TracedModel":
        other = self._copy()
        other._example, other.input_shape = (varied, held), (None, *varied.shape)
        return other

    def start(self, inputs: Tensor) -> dict[Slot, Tensor]:
        """The tensors of the graph's inputs, to run nodes from."""
        if self._example is not None:
            varied, held = self._example
            inputs = varied.into(inputs, *map(ops.convert_to_tensor, held))
        return {self.graph.inputs[0]: inputs}

    def at_inputs(self, arrived: Mapping[Slot, Tensor]) -> Tensor:
        """What a backward pass brings to the inputs, (N, ...)."""
        values = arrived[self.graph.inputs[0]]
        return values if self._example is None else self._example[0].of(values)  # type: ignore[union-attr]

    def release(self) -> "TracedModel":
        """Drop the reference to the model, so that a cache of traced models does not keep it alive."""
        self._model = self._source = None
        return self

    def validate_inputs(self, inputs: Any) -> Array:
        """User-supplied inputs as float32 (N, ...), channels last, or a table of several inputs.

        Raises ValueError if they do not fit the model.
        """
        if self.is_table:
            return self._embedded(inputs) if self.tokens else pack(inputs, self.parts, self.name)
        inputs = only_input(inputs, self._specs, len(self.input_shape), self.name)
        return validation.validate_inputs(inputs, self.input_shape, self.is_channels_first, self.name)

    def given_inputs(self, inputs: Any) -> dict[str, Array]:
        """The user's inputs by name, with token ids as integers; ValueError if they do not fit."""
        names = [part.name for part in self.input_parts]
        found = dict(zip(names, in_order(inputs, self.input_parts, self.name)))
        for one in self.tokens:
            found[one.name] = validate_ids(found[one.name], one, self.name)
        return found

    def _embedded(self, inputs: Any) -> Array:
        """The table of the inputs and of the embeddings of their tokens."""
        given = self.given_inputs(inputs)
        return self.with_embeddings(pack(given, self.input_parts, self.name), given)

    def with_embeddings(self, table: Array, given: Mapping[str, Array]) -> Array:
        """The columns of the inputs of a table, and the embeddings of the token ids in `given`."""
        found = (part for one in self.tokens for part in embed(self.embedding_graph, one, given[one.name]))
        columns = table[:, : self.input_parts[-1].stop]
        return np.concatenate([columns, *(part.reshape(len(part), -1) for part in found)], axis=1)

    def validate_targets(self, targets: Any, count: int) -> Any:
        """User-supplied targets as int32 (N,) or (N, K), or the function itself.

        Raises ValueError for a class that does not exist and for targets that do not fit the inputs or the outputs.
        """
        if self.classes is None and not callable(targets) and not self.graph.is_opaque:
            raise ValueError(
                f"the outputs of {self.name!r} are not class scores (N, classes); pass a function outputs -> (N,) as "
                "targets"
            )
        if isinstance(targets, Target):
            targets = targets.in_layout(self._returns_channels_last, symbolic_outputs(self.graph))
        return validation.validate_targets(targets, count, self.classes, self.name)

    def require_graph(self) -> Graph:
        """The graph; ValueError if it is a single node."""
        if self.graph.is_opaque:
            raise ValueError(validation.opaque_message(self.name))
        return self.graph

    def require_layers(self) -> list[str]:
        """The paths of the layer or layers as a list; ValueError if there is none."""
        self.require_graph()
        if self.layer is None:
            raise ValueError(f"{self.name!r} has no layer with a spatial output")
        return self.layer if isinstance(self.layer, list) else [self.layer]

    def require_one_layer(self, method: str) -> str:
        """The path of the layer; ValueError if there is none, or a list that `method` cannot fuse."""
        layers = self.require_layers()
        if isinstance(self.layer, list):
            raise ValueError(f"{method} takes one layer and cannot fuse {', '.join(layers)}; layercam can")
        return layers[0]

    def outputs(self, inputs: Tensor) -> Any:
        """The model's outputs for inputs (N, ...), without a softmax or sigmoid, in float32."""
        return self.run_to_outputs(self.differentiable.nodes, self.start(inputs))

    def run_to_outputs(
        self,
        nodes: Iterable[Node],
        values: Mapping[Slot, Tensor],
        shifts: Mapping[Slot, Tensor] = MappingProxyType({}),
    ) -> Any:
        """The outputs, in float32, that `nodes` compute from `values`; shifts as in `run_nodes`."""
        values = run_nodes(nodes, values, shifts)
        return tree.map_structure(lambda slot: _float32(values[slot]), self.graph.outputs)

    def split(self, inputs: Tensor) -> tuple[dict[Slot, Tensor], list[Slot], tuple[Node, ...]]:
        """The model cut at its layers: (values before the cut, slots of the layers, nodes after the cut)."""
        slots = [self.graph.slot_of[path] for path in self.require_layers()]
        after = self.differentiable.descendants(slots)
        ids_after = set(map(id, after))
        before = [node for node in self.differentiable.nodes if id(node) not in ids_after]
        return run_nodes(before, self.start(inputs)), slots, after

    def gradients(self, inputs: Tensor, targets: Any, nodes: Iterable[Node] | None = None) -> tuple[Tensor, Any]:
        """Gradients of the targets' scores with respect to the inputs, in their shape (N, ..., C), and the outputs.

        nodes: replacements of the graph's nodes, such as those with another backward pass.
        """
        nodes = tuple(nodes or self.differentiable.nodes)

        def function(x: Tensor) -> tuple[Tensor, Any]:
            outputs = self.run_to_outputs(nodes, self.start(x))
            return self.score(outputs, targets), outputs

        (gradients,), outputs = backend.gradients(function, [inputs])
        return gradients, outputs

    def map_at_layer(self, inputs: Tensor, targets: Any, equation: Callable) -> Attribution:
        """`equation(features, gradients) -> maps` at the layer: (N, h, w), or (N, K, h, w) for targets (N, K).

        The model runs forward once, and backward to the layer once for each of K targets. With a list of layers the
        equation receives lists.
        """
        values, slots, after = self.split(inputs)
        known = values if all(slot in values for slot in slots) else run_nodes(after, values)
        features = [known[slot] for slot in slots]
        zeros = [ops.zeros_like(feature) for feature in features]

        def map_of(gradients: list) -> Tensor:
            pairs = (features, gradients) if isinstance(self.layer, list) else (features[0], gradients[0])
            return equation(*(tree.map_structure(_float32, pair) for pair in pairs))

        def head(*shifts: Tensor) -> Any:
            return self.run_to_outputs(after, values, dict(zip(slots, shifts)))

        if callable(targets) or len(targets.shape) == 1:
            gradients, outputs = backend.gradients(lambda *shifts: self._scores_of(head(*shifts), targets), zeros)
            return Attribution(map_of(gradients), outputs)
        outputs = self.run_to_outputs(after, values)
        resolved = self.resolve(outputs, targets)
        return Attribution(
            map_classes(lambda *shifts: self.class_scores(head(*shifts)), zeros, resolved, map_of), outputs
        )

    def _scores_of(self, outputs: Any, targets: Any) -> tuple[Tensor, Any]:
        return self.score(outputs, targets), outputs

    def score(self, outputs: Any, targets: Any) -> Tensor:
        """The scores (N,) of targets (N,), or (N, K) of (N, K).

        A `Target` is called on the logits, another function on the outputs as the model returns them.
        """
        if callable(targets):
            is_target = isinstance(targets, Target)
            outputs = self.in_model_layout(outputs if is_target else self._activated(outputs))
            scores, count = _called(targets, outputs), tree.flatten(outputs)[0].shape[0]
            shape = tuple(scores.shape) if hasattr(scores, "shape") else None
            if shape != (count,) or "complex" in str(scores.dtype):
                found = show(scores) if shape is None else f"shape {shape}" if shape != (count,) else scores.dtype
                raise ValueError(
                    f"a function as targets must return one score per input, of shape ({count},), got {found}"
                )
            return _float32(ops.convert_to_tensor(scores))
        targets = self.resolve(outputs, targets)
        outputs = self.class_scores(outputs)
        return pick(outputs, targets) if len(targets.shape) == 1 else ops.take_along_axis(outputs, targets, axis=1)

    def resolve(self, outputs: Any, targets: Any) -> Tensor:
        """The targets with PREDICTED replaced by the predicted class; PREDICTED for a function."""
        if callable(targets):
            return ops.full((tree.flatten(outputs)[0].shape[0],), PREDICTED, "int32")
        predicted = ops.cast(backend.argmax(self.class_scores(outputs)), targets.dtype)
        if len(targets.shape) > 1:
            predicted = ops.expand_dims(predicted, 1)
        return ops.where(ops.equal(targets, PREDICTED), predicted, targets)

    def class_scores(self, outputs: Any) -> Tensor:
        """The scores of all classes: the outputs, or (-z, z) for the logit z of a single sigmoid."""
        outputs = only_output(outputs)
        return ops.concatenate([-outputs, outputs], axis=-1) if self.is_binary else outputs

    def run(
        self, function: Callable, inputs: Any, targets: Any, *tensors: Any, context: RunContext, **settings: Any
    ) -> tuple[Any, Tensor, Tensor]:
        """`function(traced, inputs, targets, *tensors, **settings) -> Attribution`, compiled.

        Returns the values (a structure of tensors, in float32), the resolved targets and the scores.
        """
        key, own = _as_arguments(targets)
        varied, held = self._example or (None, ())

        def program(inputs: Tensor, *arguments: Tensor) -> tuple[Any, Tensor, Tensor]:
            traced = self if varied is None else self._holding(varied, arguments[: len(held)])
            first, last = len(held), len(held) + len(own)
            batch_targets = _from_arguments(targets, arguments[first:last])
            values, outputs = function(traced, inputs, batch_targets, *arguments[last:], **settings)
            outputs = traced.outputs(inputs) if outputs is None else outputs
            resolved, scores = self.resolve(outputs, batch_targets), self.score(outputs, batch_targets)
            return tree.map_structure(_float32, values), resolved, scores

        context.count_passes(len(inputs))
        return self.program((function, key, freeze(settings), varied), program)(inputs, *held, *own, *tensors)

    def program(self, key: Any, function: Callable) -> Any:
        """`function` of tensors, which may read the model's weights, compiled and cached under `key`.

        Only the most recently used programs are cached.
        """
        return self._programs.get(
            key, lambda: backend.CompiledFunction(function, self.variables, self.precision, self.xla)
        )

    def _activated(self, outputs: Any) -> Any:
        """The outputs as the model returns them, with the softmax or sigmoid that was removed."""
        parts = tree.flatten(outputs)
        activations = self.graph.output_activations or (None,) * len(parts)
        activated = [part if function is None else function(part) for part, function in zip(parts, activations)]
        return tree.pack_sequence_as(outputs, activated)

    def in_model_layout(self, outputs: Any) -> Any:
        """The outputs in the layout of the user's model."""
        return tree.map_structure(self._in_model_layout, outputs)

    def _in_model_layout(self, output: Tensor) -> Tensor:
        has_channels = len(output.shape) == len(self.input_shape) > 2
        return ops.moveaxis(output, -1, 1) if self._returns_channels_last and has_channels else output

    def _is_spatial(self, slot: Slot) -> bool:
        """Whether a slot has the axes of an input, with more than one position."""
        shape = self.graph.shapes.get(slot, ())
        if slot in self._hidden or slot in self._token_layers:
            return slot in self._token_layers
        space = shape[2:] if slot in self._first_slots else shape[1:-1]
        shapes = [(None, *part.shape) for part in self.parts] or [self.input_shape]
        alike = [one for one in shapes if len(one) == len(shape) > 2]
        return bool(alike) and (
            any(side != 1 for side in space) or any(all(side == 1 for side in one[1:-1]) for one in alike)
        )

    def _part_of(self, paths: Iterable[str]) -> Part | None:
        """Of several inputs the first one that leads to the layers; None for a single input."""
        slots = {self.graph.slot_of[path] for path in paths}
        known = zip(self.parts, self._part_slots)
        leading = [part for part, slot in known if part.is_spatial and slots & self._reached(slot)]
        return leading[0] if leading else None

    def _reached(self, slot: Slot) -> set[Slot]:
        """The slots that depend on a slot."""
        return {written for node in self.graph.descendants([slot]) for written in node.writes}


def _as_arguments(targets: Any) -> tuple[Any, tuple]:
    """What a program of these targets depends on, and the arrays that it takes as arguments."""
    if isinstance(targets, BoundTarget):
        return targets.program_key, targets.bound
    return (targets, ()) if callable(targets) else (None, (targets,))


def _from_arguments(targets: Any, arrays: Sequence[Tensor]) -> Any:
    """Targets like these with the tensors that a program was called with."""
    if isinstance(targets, BoundTarget):
        return BoundTarget(targets.target, arrays)
    return targets if callable(targets) else arrays[0]


def _called(function: Callable, outputs: Any) -> Any:
    """What a target returns for the outputs of a batch; ValueError for any error of a user's function."""
    if isinstance(function, Target):
        return function(outputs)
    try:
        return function(outputs)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no message"
        raise ValueError(
            f"the target function raised {type(error).__name__}: {reason[:200]}; it gets the outputs of a batch, must "
            "be written with keras.ops, and cannot hold data of each input, as the objects of kam.targets can"
        ) from error


def outputs_only(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """A function for `TracedModel.run` whose values are the scores themselves."""
    outputs = traced.outputs(inputs)
    return Attribution(traced.score(outputs, targets), outputs)


def features_only(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """A function for `TracedModel.run` whose values are the features of the single layer."""
    values, (slot,), head = traced.split(inputs)
    return Attribution(values[slot], traced.run_to_outputs(head, values))


def _float32(tensor: Tensor) -> Tensor:
    return ops.cast(tensor, "float32")
