"""PredictFunction: any function from inputs to scores, for the methods that need no gradients."""

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_actmaps.backend import FOREIGN, is_torch_module, to_numpy
from keras_actmaps.core.graph import Graph
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.several_inputs import shape_of
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor


def is_predict_function(model: Any) -> bool:
    """Whether this is a plain function or callable object, not a model or layer of a framework."""
    if isinstance(model, (FunctionType, MethodType)):
        return True
    if not callable(model) or isinstance(model, (type, keras.layers.Layer, TracedModel)) or is_torch_module(model):
        return False
    return not any(cls.__module__.partition(".")[0] in FOREIGN for cls in type(model).__mro__)


class PredictFunction(TracedModel):
    """A function `inputs -> scores` in the place of a traced model: ONNX Runtime, TFLite, scikit-learn, a service.

    Parameters
    ----------
    function : callable
        From a float32 array (N, ...) to scores (N, classes), or (N,) for a single score. It is never compiled, and
        called with at most `batch_size` rows.
    inputs : array of shape (N, ...)
        The inputs to explain; the first one is evaluated once, for the number of classes.

    Raises
    ------
    ValueError
        For scores of another shape, or that are not finite.
    """

    has_gradients = False

    def __init__(self, function: Callable[[Array], Any], inputs: Any):
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.input_shape = (None, *shape_of(inputs)[1:])
        self.graph = Graph((), (0,), 1, {}, {}, is_opaque=True)
        self.layer, self.parts, self.precision, self.xla = None, (), "float32", None
        self.layer_reason = None
        self.is_channels_first = self.is_binary = self._returns_channels_last = False
        self._example, self.tokens, self.input_parts = None, (), ()
        self._classes = self._scores(self.validate_inputs(inputs)[:1]).shape[1]

    @property
    def classes(self) -> int:
        """The number of scores per input."""
        return self._classes

    @property
    def layers(self) -> list[str]:
        """A function has none."""
        return []

    @property
    def traces(self) -> int:
        """A function is never compiled."""
        return 0

    def replaced_source(self) -> None:
        """A function is called anew each time."""

    def outputs(self, inputs: Tensor) -> Tensor:
        """The scores (N, classes) as the function returns them."""
        return ops.convert_to_tensor(self._scores(to_numpy(inputs)))

    def run(
        self, function: Callable, inputs: Any, targets: Any, *tensors: Any, context: RunContext, **settings: Any
    ) -> tuple[Any, Tensor, Tensor]:
        """As `TracedModel.run`, without compilation."""
        context.count_passes(len(inputs))
        batch_targets = targets if callable(targets) else ops.convert_to_tensor(targets)
        tensors = tuple(map(ops.convert_to_tensor, tensors))
        values, outputs = function(self, ops.convert_to_tensor(inputs), batch_targets, *tensors, **settings)
        outputs = self.outputs(inputs) if outputs is None else outputs
        values = tree.map_structure(lambda tensor: ops.cast(tensor, "float32"), values)
        return values, self.resolve(outputs, batch_targets), self.score(outputs, batch_targets)

    def program(self, key: Any, function: Callable) -> Any:
        """`function` of tensors, called as it is."""
        return lambda *arrays: function(*map(ops.convert_to_tensor, arrays))

    def _scores(self, inputs: Array) -> Array:
        """What the function returns, as float32 (N, classes)."""
        found = self._function(inputs)
        try:
            scores = np.asarray(to_numpy(found), "float32")
        except (TypeError, ValueError):
            raise ValueError(f"{self.name!r} must return scores (N, classes), got a {type(found).__name__}") from None
        scores = scores[:, None] if scores.ndim == 1 else scores
        if scores.ndim != 2 or len(scores) != len(inputs) or not scores.shape[1]:
            raise ValueError(
                f"{self.name!r} must return scores (N, classes) for N inputs, got shape {np.shape(found)} for "
                f"{len(inputs)}"
            )
        if not np.isfinite(scores).all():
            raise ValueError(f"{self.name!r} returned NaN or Inf")
        return scores
