"""tf-explain's explainers, each with `explain(validation_data, model, ...) -> grid` and `save(grid, folder, name)`."""

from keras_actmaps.tf_explain.core.activations import ExtractActivations
from keras_actmaps.tf_explain.core.grad_cam import GradCAM
from keras_actmaps.tf_explain.core.gradients_inputs import GradientsInputs
from keras_actmaps.tf_explain.core.integrated_gradients import IntegratedGradients
from keras_actmaps.tf_explain.core.occlusion_sensitivity import OcclusionSensitivity
from keras_actmaps.tf_explain.core.smoothgrad import SmoothGrad
from keras_actmaps.tf_explain.core.vanilla_gradients import VanillaGradients

__all__ = [
    "ExtractActivations",
    "GradCAM",
    "GradientsInputs",
    "IntegratedGradients",
    "OcclusionSensitivity",
    "SmoothGrad",
    "VanillaGradients",
]
