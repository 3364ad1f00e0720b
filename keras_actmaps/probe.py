"""Probe: a Keras model made ready to be asked. Compiled once for each method and shape."""

import copy
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from keras import ops, tree

from keras_actmaps import engine, given, rewire
from keras_actmaps.given import PREDICTED


class Probe:
    """A model and a layer, to be asked many times.

    model: a Keras model; with Keras on PyTorch also a `torch.nn.Module`, whose images are channels first, (N,C,H,W),
        and which needs `shape`, that of one image.
    layer: None = the last layer with a spatial output; a name, a path into a nested model
        (`"resnet50/conv5_block3_out"`), an index into `model.layers`, or a list of these for methods that fuse.
    precision: "float32"; "tf32", float32 products rounded to TensorFloat-32 where the GPU has it; or "bfloat16", layers
        with a kernel computed in bfloat16. Maps are float32 in any case.
    xla: None lets the framework decide; TensorFlow takes True and False.

    Raises ValueError for a model without weights, with several inputs, or a layer or precision that there is not,
    TypeError for a model of another framework. The model's weights may change afterwards, its layers may not.

    For methods of many passes: `batch_size` is the most images in memory, `size` the number of images in a batch, and
    `report(done, total)` is called as images go by; all three are set by `explain`, the last by who wants to show it.
    """

    def __init__(self, model, layer=None, shape=None, precision: str = "float32", xla: bool | None = None):
        engine.check_model(model)
        self.is_channels_first = engine.is_module(model)
        if self.is_channels_first:
            model = engine.adopted(model, shape)
        self.name = model.name
        self.graph = rewire.with_precision(rewire.linear_top(rewire.flatten(model)), precision, model.name)
        self.input_shape = rewire.input_shape(model)
        self.precision, self.xla = precision, xla
        self.variables = tuple(model.weights)
        self.layer = given.layer(layer, self.layers, self.graph, model)
        self._model = model  # keeps an opaque model alive
        self._compiled: dict = {}
        self._answer = None
        self._passes = [0]
        self.batch_size = self.size = 32
        self.report: Callable[[int, int], None] = lambda done, total: None

    def sized(self, batch_size: int, size: int) -> "Probe":
        """The same probe, sharing what is compiled, with the most images in memory and those of one batch."""
        view = copy.copy(self)
        view.batch_size, view.size = batch_size, size
        return view

    @property
    def layers(self) -> list[str]:
        """The paths of the layers with a spatial output, in the order in which they run."""
        return list(dict.fromkeys(step.path for step in self.graph.steps if self._is_spatial(step.writes[-1])))

    @property
    def classes(self) -> int | None:
        """The number of classes; None where the outputs are not (N, classes)."""
        outputs = self.graph.outputs
        shape = self.graph.shapes.get(outputs, ()) if isinstance(outputs, int) else ()
        return shape[-1] if len(shape) == 2 else None

    @property
    def space(self) -> tuple[int | None, ...]:
        """The shape of a map: (H, W) for images, (T,) for sequences, (F,) for tables."""
        return self.input_shape[1:-1] or self.input_shape[1:]

    @property
    def traces(self) -> int:
        """How often anything was compiled."""
        return sum(program.traces for program in self._compiled.values())

    @property
    def passes(self) -> int:
        """How many images the model, or what follows its layer, has been run on by `ask`, padding left out."""
        return self._passes[0]

    def ran(self, count: int) -> None:
        """Count images that the model was run on; less than 0 for padding among those counted by `ask`."""
        self._passes[0] += count

    def release(self) -> "Probe":
        """Forget the model itself, so that a cache of probes does not keep it alive."""
        self._model = None
        return self

    def outputs(self, images):
        """images (N, ...) -> the model's outputs without a softmax or sigmoid, in float32."""
        return self.finish(self.graph.steps, {self.graph.inputs[0]: images})

    def gradients(self, images, targets, steps=None):
        """The gradients of the targets' scores at the images: (N,H,W,C) -> (N,H,W,C).

        steps: those to run instead of the graph's, with another backward pass.
        """

        def function(x):
            outputs = self.finish(steps or self.graph.steps, {self.graph.inputs[0]: x})
            return self.score(outputs, targets), outputs

        (gradients,), outputs = engine.gradients(function, [images])
        self.note(outputs, targets)
        return gradients

    def at_layer(self, images, targets, equation: Callable):
        """`equation(features, gradients) -> map` at the probe's layer; (N,h,w), or (N,K,h,w) for targets (N,K).

        The backbone runs once and, for each of the K targets, only what follows the layer. With a list of layers the
        equation gets lists.
        """
        values, slots, after = self.split(images)
        known = values if all(slot in values for slot in slots) else rewire.run(after, values)
        features = [known[slot] for slot in slots]
        zeros = [ops.zeros_like(feature) for feature in features]

        def one(targets):
            def head(*shifts):
                outputs = self.finish(after, values, dict(zip(slots, shifts)))
                return self.score(outputs, targets), outputs

            gradients, outputs = engine.gradients(head, zeros)
            pairs = (features, gradients) if isinstance(self.layer, list) else (features[0], gradients[0])
            return equation(*(tree.map_structure(_float32, pair) for pair in pairs)), outputs

        if callable(targets) or len(targets.shape) == 1:
            maps, outputs = one(targets)
        else:
            outputs = self.finish(after, values)
            maps = ops.map(lambda column: one(column)[0], ops.transpose(targets))
            maps = ops.moveaxis(maps, 0, 1)
        self.note(outputs, targets)
        return maps

    def targets(self, targets, count: int):
        """Targets as a user gives them -> int32 (N,) or (N,K), or the callable itself.

        Raises ValueError for a class that is not there and for targets that do not fit the images or the outputs.
        """
        if self.classes is None and not callable(targets) and not self.graph.is_opaque:
            raise ValueError(f"the outputs of {self.name!r} are no class scores (N, classes); give a function "
                             "outputs -> (N,) as targets")  # fmt: skip
        return given.targets(targets, count, self.classes, self.name)

    def images(self, images) -> np.ndarray:
        """Images as a user gives them -> float32 (N, ...), channels last; ValueError where they do not fit."""
        return given.images(images, self.input_shape, self.is_channels_first, self.name)

    def score(self, outputs, targets):
        """The scores (N,) of the targets (N,), or (N,K) of (N,K); a callable target is called."""
        if callable(targets):
            outputs = tree.map_structure(self._as_given, outputs)
            return _float32(ops.convert_to_tensor(targets(outputs)))
        targets = self.resolve(outputs, targets)
        if len(targets.shape) == 1:
            return ops.take_along_axis(outputs, targets[:, None], axis=1)[:, 0]
        return ops.take_along_axis(outputs, targets, axis=1)

    def resolve(self, outputs, targets):
        """The targets with the predicted class where they say PREDICTED."""
        if callable(targets):
            return ops.full((tree.flatten(outputs)[0].shape[0],), PREDICTED, "int32")
        predicted = ops.cast(ops.argmax(outputs, axis=-1), targets.dtype)
        return ops.where(targets == PREDICTED, ops.reshape(predicted, (-1,) + (1,) * (len(targets.shape) - 1)), targets)

    def ask(self, function: Callable, images, targets, *tensors, **settings):
        """`function(probe, images, targets, *tensors, **settings) -> maps`, compiled.

        Returns the maps, the resolved targets and the scores.
        """
        question = targets if callable(targets) else None
        key = (function, question, tuple(sorted((name, _words(value)) for name, value in settings.items())))

        def program(images, *given):
            asked, *tensors = [question, *given] if question else given
            self._answer = None
            maps = function(self, images, asked, *tensors, **settings)
            outputs, targets = self._answer or (self.outputs(images), asked)
            self._answer = None
            return _float32(maps), self.resolve(outputs, targets), self.score(outputs, targets)

        self.ran(len(images))
        return self.program(key, program)(images, *([] if question else [targets]), *tensors)

    def program(self, key, function: Callable):
        """`function` of tensors, which may read the model's weights, compiled once and kept under `key`."""
        if key not in self._compiled:
            self._compiled[key] = engine.compiled(function, self.variables, self.precision, self.xla)
        return self._compiled[key]

    def need_layers(self) -> list[str]:
        """The layer or layers as a list; ValueError where there is none."""
        self.need_graph()
        if self.layer is None:
            raise ValueError(f"{self.name!r} has no layer with a spatial output")
        return self.layer if isinstance(self.layer, list) else [self.layer]

    def need_graph(self) -> rewire.Graph:
        """The graph; ValueError where it is a single step."""
        if self.graph.is_opaque:
            raise ValueError(given.unseen(self.name))
        return self.graph

    def note(self, outputs, targets) -> None:
        """Keep what a pass has found anyway, so that `ask` need not run the model again for the scores."""
        if self._answer is None:
            self._answer = outputs, targets

    def split(self, images):
        """The model cut at its layers: (values before the cut, the layers' slots, the steps behind the cut)."""
        slots = [self.graph.places[path] for path in self.need_layers()]
        after = self.graph.below(slots)
        later = set(map(id, after))
        before = [step for step in self.graph.steps if id(step) not in later]
        return rewire.run(before, {self.graph.inputs[0]: images}), slots, after

    def finish(self, steps, values, shifts=MappingProxyType({})):
        """The outputs, in float32, that `steps` make of `values`."""
        values = rewire.run(steps, values, shifts)
        return tree.map_structure(lambda slot: _float32(values[slot]), self.graph.outputs)

    def _as_given(self, output):
        """An output in the layout of the user's model."""
        has_channels = len(output.shape) == len(self.input_shape) > 2
        return ops.moveaxis(output, -1, 1) if self.is_channels_first and has_channels else output

    def _is_spatial(self, slot) -> bool:
        shape = self.graph.shapes.get(slot, ())
        space = shape[1:-1]
        if len(self.input_shape) < 3 or len(shape) != len(self.input_shape):
            return False
        return any(side != 1 for side in space) or all(side == 1 for side in self.input_shape[1:-1])


def _words(value) -> str:
    """A setting as words that differ wherever the settings do; `repr` shortens arrays."""
    return repr((value.shape, value.tobytes())) if isinstance(value, np.ndarray) else repr(value)


def _float32(tensor):
    return ops.cast(tensor, "float32")
