"""tf-explain's callbacks: at the end of each epoch, a grid for TensorBoard with the current weights."""

from keras_actmaps.tf_explain.callbacks.activations_visualization import ActivationsVisualizationCallback
from keras_actmaps.tf_explain.callbacks.grad_cam import GradCAMCallback
from keras_actmaps.tf_explain.callbacks.gradients_inputs import GradientsInputsCallback
from keras_actmaps.tf_explain.callbacks.integrated_gradients import IntegratedGradientsCallback
from keras_actmaps.tf_explain.callbacks.occlusion_sensitivity import OcclusionSensitivityCallback
from keras_actmaps.tf_explain.callbacks.smoothgrad import SmoothGradCallback
from keras_actmaps.tf_explain.callbacks.vanilla_gradients import VanillaGradientsCallback

__all__ = [
    "ActivationsVisualizationCallback",
    "GradCAMCallback",
    "GradientsInputsCallback",
    "IntegratedGradientsCallback",
    "OcclusionSensitivityCallback",
    "SmoothGradCallback",
    "VanillaGradientsCallback",
]
