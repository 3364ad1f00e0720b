"""DeconvNet: the gradient at the input, through ReLUs that pass positive gradients only, active or not."""

from typing import Any

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules.relu import deconvnet_relu, with_relu


def deconvnet(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """R_l = 1[R_l+1 > 0] R_l+1 at each ReLU, whether it was active or not (Zeiler and Fergus 2014, section 2.1).

    ReLUs are identified as in `guided_backprop`.
    """
    nodes = with_relu(traced.folded, deconvnet_relu, traced.name, "deconvnet")
    return Attribution(*traced.gradients(inputs, targets, nodes))


def _validate(traced: TracedModel, inputs: Array) -> None:
    with_relu(traced.require_graph(), deconvnet_relu, traced.name, "deconvnet")


METHOD = Method(
    name="deconvnet",
    function=deconvnet,
    multi_input=True,
    reduction="sum",
    validate=_validate,
    needs=frozenset({"gradients", "graph"}),
    summary="The gradient at the input, with ReLU applied to the gradient at each ReLU",
    paper="Zeiler and Fergus 2014, section 2.1",
    cost="one forward and one backward pass.",
    limitations="without max pooling it hardly depends on the image; nearly the same for every class.",
)
