"""tf-explain's explainers: `explain(validation_data, model, ...)` and `save(grid, output_dir, output_name)`."""

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
