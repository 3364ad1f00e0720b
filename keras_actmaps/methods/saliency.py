"""Saliency: the gradient at the input."""

from typing import Any

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Attribution, Method


def saliency(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """dY/dx_c; the maximum of its absolute values over the channels in Simonyan et al. 2014, section 3."""
    return Attribution(*traced.gradients(inputs, targets))


METHOD = Method(
    name="saliency",
    function=saliency,
    multi_input=True,
    reduction="abs_max",
    needs=frozenset({"gradients"}),
    summary="The sensitivity of the score to each pixel",
    paper="Simonyan et al. 2014, section 3",
    cost="one forward and one backward pass.",
    limitations="noisy; shows what would change the score, not what contributes to it.",
)
