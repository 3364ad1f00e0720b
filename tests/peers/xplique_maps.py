"""Maps by xplique, in float32, on the Keras network itself.

Its Grad-CAM++ (a mean where eq. 19 sums) and integrated gradients (trapezoids) are left out, as is Grad-CAM where its
bicubic resizing changes the map.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xplique.attributions as xplique
from networks import LAYER, PICTURES, TARGETS, images, keras_model


def maps_of(network: str) -> Iterator[tuple[str, Any]]:
    """(class and settings, maps) of all that is compared on a network."""
    if network not in PICTURES:
        return
    model, x = keras_model(network, linear=True), images(network)
    one_hot = np.eye(model.output_shape[-1], dtype="float32")[TARGETS[network]]
    methods = {
        "Saliency": xplique.Saliency(model, reducer="max"),
        "GradientInput": xplique.GradientInput(model, reducer="sum"),
        "DeconvNet": xplique.DeconvNet(model, reducer="sum"),
        "GuidedBackprop": xplique.GuidedBackprop(model, reducer="sum"),
        "Occlusion(2, 2)": xplique.Occlusion(model, patch_size=2, patch_stride=2, occlusion_value=0.0),
    }
    if network == "residual":
        methods["GradCAM"] = xplique.GradCAM(model, conv_layer=LAYER[network])
    for name, method in methods.items():
        yield name, np.asarray(method(x, one_hot)).reshape(x.shape[:3])
