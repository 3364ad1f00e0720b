"""GradientsInputs: the gradient of the score times the image."""

from tf_explain.core import gradients_inputs as original

from keras_actmaps.tf_explain.core.vanilla_gradients import VanillaGradients
from keras_actmaps.tf_explain.semantics import input_gradients


class GradientsInputs(VanillaGradients, original.GradientsInputs):
    """What each pixel adds to the logit, to first order."""

    original = original.GradientsInputs

    @staticmethod
    def compute_gradients(images, model, class_index):
        """The gradients of the class's logit at the images (N,H,W,C), times the images."""
        return input_gradients(images, model, class_index, "gradient_x_input")
