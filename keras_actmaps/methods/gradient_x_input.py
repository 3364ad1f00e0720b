"""Gradient x input: the contribution of each pixel to the score, to first order."""

from typing import Any

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Attribution, Method


def gradient_x_input(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """x_c dY/dx_c (Shrikumar et al. 2017, section 2.2). On ReLU networks without biases it sums to the score."""
    gradients, outputs = traced.gradients(inputs, targets)
    return Attribution(inputs * gradients, outputs)


METHOD = Method(
    name="gradient_x_input",
    function=gradient_x_input,
    multi_input=True,
    reduction="sum",
    needs=frozenset({"gradients"}),
    summary="The gradient at each pixel times the pixel",
    paper="Shrikumar et al. 2017, section 2.2",
    cost="one forward and one backward pass.",
    limitations="zero at black pixels, even where they matter; as noisy as the gradient.",
)
