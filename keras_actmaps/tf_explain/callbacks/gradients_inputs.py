"""GradientsInputsCallback: the gradient times the image, epoch by epoch."""

from tf_explain.callbacks import gradients_inputs as original

from keras_actmaps.tf_explain.callbacks.vanilla_gradients import VanillaGradientsCallback
from keras_actmaps.tf_explain.core.gradients_inputs import GradientsInputs


class GradientsInputsCallback(VanillaGradientsCallback, original.GradientsInputsCallback):
    """`GradientsInputs` at the end of each epoch."""

    explainer = GradientsInputs()
    default_output_subdir = "gradients_inputs"
