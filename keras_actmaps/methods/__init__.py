"""Attribution methods, one a file; METHODS names them.

A method is a function `(probe, images, targets, *, setting=default, ...) -> maps`:

- probe: the model and layer that are asked (`Probe`);
- images: float32 (N, ...) as `model.predict` takes them;
- targets: None for the predicted class, int (N,), int (N, K) where `takes_many`, or a function outputs -> (N,);
- maps: raw and signed, at the resolution of the layer or of the image: (N, h, w), or (N, K, h, w).
"""

from keras_actmaps.methods.cam import cam
from keras_actmaps.methods.gradcam import gradcam
from keras_actmaps.methods.saliency import saliency

METHODS = {"cam": cam, "gradcam": gradcam, "saliency": saliency}


def named(method: str):
    """The method of that name; ValueError names the choices."""
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are: {', '.join(METHODS)}")
    return METHODS[method]
