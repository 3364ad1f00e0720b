"""Maps by pytorch-grad-cam, in float64, as get_cam_image returns them: before its ReLU, its scaling and its resizing.

- Its Eigen-CAM centers the features, which the paper does not; `mirrored` is its projection of the features beside
  their negatives, whose mean is 0, so that centering changes nothing.
- Its Score-CAM resizes with aligned corners, so it is compared where the masks are not resized, on `residual`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from networks import PICTURES
from peer_torch_networks import inputs, torch_model
from torchvision_stand_in import torchvision_stand_in

with torchvision_stand_in():
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

NAMES = ("GradCAM", "GradCAMPlusPlus", "XGradCAM", "HiResCAM", "LayerCAM", "ScoreCAM", "AblationCAM")


def maps_of(network: str) -> Iterator[tuple[str, Any]]:
    """(class, maps) of all that is compared on a network."""
    if network not in PICTURES:
        return
    x, targets = inputs(network)
    for name in NAMES:
        if name == "ScoreCAM" and network == "pooled":
            continue
        model = torch_model(network)
        method = getattr(pytorch_grad_cam, name)(model, [model.relu_2])
        raw, recorded = method.get_cam_image, []

        def recording(*arguments, raw=raw, recorded=recorded, **keywords):
            recorded.append(raw(*arguments, **keywords))
            return recorded[-1]

        method.get_cam_image = recording
        method(x, [ClassifierOutputTarget(int(target)) for target in targets])
        yield name, recorded[0]
    model = torch_model(network)
    record = pytorch_grad_cam.ActivationsAndGradients(model, [model.relu_2], None)
    record(x)
    features = record.activations[0].numpy()
    mirrored = get_2d_projection(np.concatenate([features, -features], axis=2))
    yield "EigenCAM(mirrored)", mirrored[:, : features.shape[2]]
