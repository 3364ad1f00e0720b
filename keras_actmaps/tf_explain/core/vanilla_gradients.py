"""VanillaGradients: the gradient of the score at the image."""

from typing import Any

import numpy as np
from tf_explain.core import vanilla_gradients as original

from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.tf_explain.explainer import ClassIndex, Explainer, ValidationData, input_gradients
from keras_actmaps.tf_explain.utils.display import grid_display
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale

ACTIVATION_LAYER_CLASSES = original.ACTIVATION_LAYER_CLASSES
UNSUPPORTED_ARCHITECTURE_WARNING = original.UNSUPPORTED_ARCHITECTURE_WARNING


class VanillaGradients(Explainer, original.VanillaGradients):
    """The gradient of the logit, for any activation at the end of the model.

    With `compatible`, the gradient of the model's output, without the last layer where that is an activation.
    """

    original = original.VanillaGradients

    def explain(self, validation_data: ValidationData, model: Any, class_index: ClassIndex) -> Array:
        """The sums over channels of the gradients' magnitudes as a grid of gray pictures: uint8 (H, W)."""
        score_model = self.get_score_model(model) if self.compatible else model
        return self.explain_score_model(validation_data, score_model, class_index)

    def get_score_model(self, model: Any) -> Any:
        """The model without its last layer if that is an activation, else the model itself, with a warning.

        A subclassed model is returned unchanged. `explain` needs this with `compatible` only.
        """
        return super().get_score_model(model) if getattr(model, "inputs", None) else model

    def explain_score_model(self, validation_data: ValidationData, score_model: Any, class_index: ClassIndex) -> Array:
        """As `explain`, of a model that `get_score_model` returned."""
        images, _ = validation_data
        explainer = self.original if self.compatible else self
        gradients = explainer.compute_gradients(np.asarray(images), score_model, class_index)
        return grid_display(transform_to_normalized_grayscale(abs(gradients), together=self.compatible).numpy())

    @staticmethod
    def compute_gradients(images: Any, model: Any, class_index: ClassIndex) -> Tensor:
        """The gradients of the class's logit at the images, (N, H, W, C)."""
        return input_gradients(images, model, class_index)
