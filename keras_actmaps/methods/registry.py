"""Method: the record that describes an attribution method, and METHODS, the table of all of them.

A method is one file with a function and a record:

    def saliency(traced, inputs, targets):
        return Attribution(*traced.gradients(inputs, targets))

    METHOD = Method(name="saliency", function=saliency, reduction="abs_max", ...)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from keras import layers, ops

from keras_actmaps.core.attribution import Attribution, Target
from keras_actmaps.core.layer_types import describe_node
from keras_actmaps.core.settings import Setting, settings_of, show
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor

Reduction = Literal["sum", "abs_max", "norm", "max", "keep"]  # "max" is the older name of "abs_max"
CHANNELS = Setting("channels", Reduction, None, "how channels are reduced: sum, largest absolute value, norm, or not")
METHODS: dict[str, "Method"] = {}  # filled by `keras_actmaps.methods`

__all__ = ["CHANNELS", "METHODS", "Attribution", "Method", "at_layer", "find_method", "reduce_channels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """An attribution method.

    Attributes
    ----------
    name : str
        Key in METHODS, and the name of the file.
    function : callable
        `(traced, inputs, targets, *, setting=default, ...) -> Attribution`. Inputs are float32 (N, ...), channels last;
        targets are int32 (N,), or (N, K) for `multi_target`, or a function of the outputs. A method of many passes also
        takes a `context` (RunContext), before the settings, and receives NumPy arrays and resolved targets.
    summary : str
        One sentence: what a map shows.
    paper, cost, limitations : str
        Source, computational cost and known failures.
    level : {"input", "layer"}
        Whether the maps are computed from the input or from the features of the traced model's layer.
    single_pass : bool
        True for a pure function of tensors, which is compiled once per shape.
    multi_target : bool
        Whether the function takes targets (N, K) and returns values (N, K, h, w).
    multi_layer : bool
        Whether it fuses a list of layers.
    multi_input : bool
        Whether it attributes the score to all inputs of a model with several, as the columns of one table (N, F). Other
        methods of level "input", and those of many passes, perturb one input at a time.
    reduction : {"sum", "abs_max"} or None
        Default of the setting `channels`, which all methods whose values have channels share; None without channels.
    validate : callable or None
        `(traced, inputs, **settings)` raises ValueError, before any pass, for settings that do not fit these inputs.
    total : callable or None
        `(traced, inputs, targets, scores, settings, context) -> (N,)`: the expected sum of each input's values; None
        for settings without a known sum.
    needs : frozenset of str
        Requirements on the model, of "gradients", "graph", "spatial_layer", "attention" and "gap_head".
    """

    name: str
    function: Callable[..., Attribution]
    summary: str
    paper: str
    cost: str
    limitations: str
    level: Literal["input", "layer"] = "input"
    single_pass: bool = True
    multi_target: bool = False
    multi_layer: bool = False
    multi_input: bool = False
    reduction: Literal["sum", "abs_max"] | None = None
    validate: Callable[..., None] | None = None
    total: Callable[..., Any] | None = None
    needs: frozenset[str] = frozenset()

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """The settings by name, with `channels` where the values have channels."""
        own = dict(settings_of(self.function))
        if self.reduction is not None:
            own["channels"] = replace(CHANNELS, default=self.reduction)
        return own

    def target_of(self, targets: Any) -> Any:
        """The targets as the method explains them, with or without gradients."""
        without_gradients = isinstance(targets, Target) and "gradients" not in self.needs
        return targets.for_perturbations() if without_gradients else targets


def validate_method(method: Method, traced: TracedModel, inputs: Array, settings: Mapping[str, Any]) -> None:
    """ValueError if a method does not fit the model, its layer, these inputs or the settings of its function."""
    if not traced.has_gradients and (method.level == "layer" or method.needs & {"gradients", "graph"}):
        others = [name for name, one in METHODS.items() if one.level == "input" and not one.needs]
        raise ValueError(
            f"{method.name} needs gradients or layers, which the function {traced.name!r} does not have; methods that "
            f"need scores only: {', '.join(others)}"
        )
    if "graph" in method.needs:
        traced.require_graph()
    if "gradients" in method.needs and method.level == "input":
        _require_gradients(method, traced)
    if method.level == "layer":
        traced.require_layers() if method.multi_layer else traced.require_one_layer(method.name)
    if method.validate is not None:
        method.validate(traced, inputs, **settings)


def _require_gradients(method: Method, traced: TracedModel) -> None:
    """ValueError if every layer that reads an input is an embedding, through which there is no gradient."""
    readers = [node for node in traced.graph.nodes if set(traced.graph.inputs) & set(node.reads.values())]
    if readers and all(isinstance(node.operation, layers.Embedding) for node in readers):
        raise ValueError(
            f"{method.name} needs gradients with respect to the input, but layer {describe_node(readers[0])} reads it "
            "as integers; occlusion and rise need none"
        )


def find_method(method: str | Method, setting: str = "method") -> Method:
    """The method of that name, or the record itself; ValueError, with the choices, for an unknown name."""
    if isinstance(method, Method):
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"{setting} must be one of {', '.join(METHODS)}, got {show(method)}")
    return METHODS[method]


def at_layer(equation: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Attribution]:
    """The function of a method that is an equation at a layer.

    equation: `(features, gradients) -> maps`, from features (N, h, w, C) and the gradients of the score with respect to
    these to maps (N, h, w).
    """

    def function(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
        return traced.map_at_layer(inputs, targets, equation)

    return function


def reduce_channels(values: Tensor, channels: Reduction) -> Tensor:
    """Values (N, ..., C) as maps (N, ...): their sum, largest absolute value or norm, or all of them."""
    if channels == "keep" or len(values.shape) == 2:  # tabular inputs have no channels
        return ops.abs(values) if channels in ("max", "abs_max", "norm") else values
    if channels == "norm":
        return ops.sqrt(ops.sum(values**2, axis=-1))
    return ops.sum(values, axis=-1) if channels == "sum" else ops.max(ops.abs(values), axis=-1)
