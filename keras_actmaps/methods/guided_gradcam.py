"""Guided Grad-CAM: guided backpropagation multiplied by Grad-CAM."""

from typing import Any

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.resize import resize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods.gradcam import METHOD as GRADCAM
from keras_actmaps.methods.guided_backprop import guided_backprop
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules.relu import guided_relu, with_relu


def guided_gradcam(traced: TracedModel, inputs: Array, targets: Any, context: RunContext) -> Attribution:
    """G = guided_backprop * resize(gradcam), bilinear (Selvaraju et al. 2017, section 3.2)."""
    edges, _, _ = traced.run(guided_backprop, inputs, targets, context=context)
    region, _, _ = traced.run(GRADCAM.function, inputs, targets, context=context)
    return Attribution(to_numpy(edges) * resize(to_numpy(region), inputs.shape[1:-1])[..., None])


def _validate(traced: TracedModel, inputs: Array) -> None:
    with_relu(traced.require_graph(), guided_relu, traced.name, "guided_gradcam")


METHOD = Method(
    name="guided_gradcam",
    function=guided_gradcam,
    level="layer",
    single_pass=False,
    reduction="sum",
    validate=_validate,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="Guided backpropagation times Grad-CAM, resized to the image",
    paper="Selvaraju et al. 2017, section 3.2",
    cost="2 forward and backward passes.",
    limitations="shows edges in the region of Grad-CAM; as in guided backpropagation, they depend little on the class.",
)
