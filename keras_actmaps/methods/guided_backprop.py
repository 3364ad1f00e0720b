"""Guided backpropagation: the gradient at the input, through ReLUs that pass positive gradients only."""

from typing import Any

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules.relu import guided_relu, with_relu


def guided_backprop(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """R_l = 1[x_l > 0] 1[R_l+1 > 0] R_l+1 at each ReLU (Springenberg et al. 2015, section 3.4).

    ReLU may be a layer, an operation or an `activation=`; ReLU6, leaky and thresholded ReLU keep their slopes;
    other activations (sigmoid, silu, ...) keep their gradient.
    """
    nodes = with_relu(traced.folded, guided_relu, traced.name, "guided_backprop")
    return Attribution(*traced.gradients(inputs, targets, nodes))


def _validate(traced: TracedModel, inputs: Array) -> None:
    with_relu(traced.require_graph(), guided_relu, traced.name, "guided_backprop")


METHOD = Method(
    name="guided_backprop",
    function=guided_backprop,
    multi_input=True,
    reduction="sum",
    validate=_validate,
    needs=frozenset({"gradients", "graph"}),
    summary="The gradient at the input, through active ReLUs that pass positive gradients only",
    paper="Springenberg et al. 2015, section 3.4",
    cost="one forward and one backward pass.",
    limitations="shows edges of the image, nearly the same for every class and for random upper layers.",
)
