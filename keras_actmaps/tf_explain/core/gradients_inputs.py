"""GradientsInputs: the gradient of the score times the image."""

from typing import Any

from tf_explain.core import gradients_inputs as original

from keras_actmaps.core.types import Tensor
from keras_actmaps.tf_explain.core.vanilla_gradients import VanillaGradients
from keras_actmaps.tf_explain.explainer import ClassIndex, input_gradients


class GradientsInputs(VanillaGradients, original.GradientsInputs):
    """What each pixel contributes to the logit, to first order."""

    original = original.GradientsInputs

    @staticmethod
    def compute_gradients(images: Any, model: Any, class_index: ClassIndex) -> Tensor:
        """The gradients of the class's logit at the images times the images, (N, H, W, C)."""
        return input_gradients(images, model, class_index, "gradient_x_input")
