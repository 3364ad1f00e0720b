"""Attribution methods, one a file; METHODS names them.

A method is a function `(probe, images, targets, *, setting=default, ...) -> maps`:

- probe: the model and layer that are asked (`Probe`);
- images: float32 (N, ...) as `model.predict` takes them;
- targets: None for the predicted class, int (N,), int (N, K) where `takes_many`, or a function outputs -> (N,);
- maps: raw and signed, at the resolution of the layer or of the image: (N, h, w), or (N, K, h, w).
"""

from keras_actmaps.methods.ablationcam import ablationcam
from keras_actmaps.methods.blur_ig import blur_ig
from keras_actmaps.methods.cam import cam
from keras_actmaps.methods.deconvnet import deconvnet
from keras_actmaps.methods.deeplift import deeplift
from keras_actmaps.methods.eigencam import eigencam
from keras_actmaps.methods.expected_gradients import expected_gradients
from keras_actmaps.methods.extremal_perturbation import extremal_perturbation
from keras_actmaps.methods.gradcam import gradcam
from keras_actmaps.methods.gradcam_plus_plus import gradcam_plus_plus
from keras_actmaps.methods.gradient_x_input import gradient_x_input
from keras_actmaps.methods.guided_backprop import guided_backprop
from keras_actmaps.methods.guided_gradcam import guided_gradcam
from keras_actmaps.methods.hirescam import hirescam
from keras_actmaps.methods.integrated_gradients import integrated_gradients
from keras_actmaps.methods.kernel_shap import kernel_shap
from keras_actmaps.methods.layercam import layercam
from keras_actmaps.methods.lime import lime
from keras_actmaps.methods.lrp import lrp
from keras_actmaps.methods.occlusion import occlusion
from keras_actmaps.methods.rise import rise
from keras_actmaps.methods.saliency import saliency
from keras_actmaps.methods.scorecam import scorecam
from keras_actmaps.methods.smoothgrad import smoothgrad
from keras_actmaps.methods.squaregrad import squaregrad
from keras_actmaps.methods.vargrad import vargrad
from keras_actmaps.methods.xgradcam import xgradcam

METHODS = {
    "cam": cam,
    "gradcam": gradcam,
    "gradcam_plus_plus": gradcam_plus_plus,
    "xgradcam": xgradcam,
    "hirescam": hirescam,
    "layercam": layercam,
    "eigencam": eigencam,
    "scorecam": scorecam,
    "ablationcam": ablationcam,
    "guided_gradcam": guided_gradcam,
    "saliency": saliency,
    "gradient_x_input": gradient_x_input,
    "smoothgrad": smoothgrad,
    "squaregrad": squaregrad,
    "vargrad": vargrad,
    "integrated_gradients": integrated_gradients,
    "expected_gradients": expected_gradients,
    "blur_ig": blur_ig,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "lrp": lrp,
    "deeplift": deeplift,
    "occlusion": occlusion,
    "rise": rise,
    "lime": lime,
    "kernel_shap": kernel_shap,
    "extremal_perturbation": extremal_perturbation,
}


def named(method: str):
    """The method of that name; ValueError names the choices."""
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are: {', '.join(METHODS)}")
    return METHODS[method]
