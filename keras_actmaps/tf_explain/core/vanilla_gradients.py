"""VanillaGradients: the gradient of the score at the image."""

import numpy as np
from tf_explain.core import vanilla_gradients as original

from keras_actmaps.tf_explain.semantics import Explainer, input_gradients
from keras_actmaps.tf_explain.utils.display import grid_display
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale

ACTIVATION_LAYER_CLASSES = original.ACTIVATION_LAYER_CLASSES
UNSUPPORTED_ARCHITECTURE_WARNING = original.UNSUPPORTED_ARCHITECTURE_WARNING


class VanillaGradients(Explainer, original.VanillaGradients):
    """The gradient of the logit, whatever the model ends in; compatible: of the output, but for a last layer that is an
    activation."""

    original = original.VanillaGradients

    def explain(self, validation_data, model, class_index):
        """The sums over channels of the gradients' absolute values as a grid of grey pictures: uint8 (H,W)."""
        score_model = self.get_score_model(model) if self.compatible else model
        return self.explain_score_model(validation_data, score_model, class_index)

    def get_score_model(self, model):
        """The model without its last layer where that is an activation; else the model itself, with a warning.

        Of a subclassed model always itself. `explain` asks it only where it is compatible: the engine finds the logits.
        """
        return super().get_score_model(model) if getattr(model, "inputs", None) else model

    def explain_score_model(self, validation_data, score_model, class_index):
        """As `explain`, of a model that `get_score_model` has given."""
        images, _ = validation_data
        rule = self.original if self.compatible else self
        gradients = rule.compute_gradients(np.asarray(images), score_model, class_index)
        return grid_display(transform_to_normalized_grayscale(abs(gradients), together=self.compatible).numpy())

    @staticmethod
    def compute_gradients(images, model, class_index):
        """The gradients of the class's logit at the images (N,H,W,C)."""
        return input_gradients(images, model, class_index)
