"""Attribution methods, one per file. METHODS is the table of their records."""

import importlib

from keras_actmaps.methods.registry import METHODS, Method, find_method

NAMES = (
    "cam",
    "gradcam",
    "gradcam_plus_plus",
    "xgradcam",
    "hirescam",
    "layercam",
    "eigencam",
    "scorecam",
    "ablationcam",
    "guided_gradcam",
    "excitation_backprop",
    "conductance",
    "attention_rollout",
    "attention_relevance",
    "legrad",
    "saliency",
    "gradient_x_input",
    "fullgrad",
    "smoothgrad",
    "squaregrad",
    "vargrad",
    "integrated_gradients",
    "idgi",
    "guided_ig",
    "expected_gradients",
    "gradient_shap",
    "blur_ig",
    "xrai",
    "guided_backprop",
    "deconvnet",
    "lrp",
    "deeplift",
    "deeplift_shap",
    "occlusion",
    "feature_ablation",
    "rise",
    "lime",
    "kernel_shap",
    "shapley_sampling",
    "hsic",
    "sobol",
    "extremal_perturbation",
)  # modules of this package, each with a record METHOD, in the order of the documentation
METHODS.update({name: importlib.import_module(f"{__name__}.{name}").METHOD for name in NAMES})

__all__ = ["METHODS", "Method", "find_method"]
