"""IntegratedGradients: the gradient along the path from a black image to the image, times the difference."""

from typing import Any

import numpy as np
from keras import ops
from tf_explain.core import integrated_gradients as original

from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods import explain
from keras_actmaps.tf_explain.explainer import ClassIndex, Explainer, ValidationData
from keras_actmaps.tf_explain.utils.display import grid_display
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale


class IntegratedGradients(Explainer, original.IntegratedGradients):
    """Integrated gradients of the logit, which sum to its difference from that of a black image.

    With `compatible`, the mean gradient of the model's output at n_steps points of the path.
    """

    def explain(self, validation_data: ValidationData, model: Any, class_index: ClassIndex, n_steps: int = 10) -> Array:
        """The sums over channels of the attributions' magnitudes as a grid of gray pictures: uint8 (H, W)."""
        images = np.asarray(validation_data[0])
        if self.compatible:
            paths = self.generate_interpolations(images, n_steps)
            attributions = original.IntegratedGradients.get_integrated_gradients(paths, model, class_index, n_steps)
        else:
            attributions = _integrated_gradients(model, images, class_index, n_steps, "zero")
        return grid_display(transform_to_normalized_grayscale(abs(attributions), together=self.compatible).numpy())

    @staticmethod
    def get_integrated_gradients(interpolated_images: Any, model: Any, class_index: ClassIndex, n_steps: int) -> Tensor:
        """The attributions (N, H, W, C) from the first to the last of n_steps images each, (N * n_steps, H, W, C)."""
        images = np.asarray(interpolated_images)
        paths = images.reshape(-1, n_steps, *images.shape[1:])
        return ops.concatenate(
            [_integrated_gradients(model, path[-1:], class_index, n_steps, path[0]) for path in paths]
        )


def _integrated_gradients(model: Any, images: Array, class_index: ClassIndex, steps: int, baseline: Any) -> Tensor:
    """The attributions of all channels, (N, H, W, C)."""
    settings = {"steps": steps, "baseline": baseline, "channels": "keep"}
    explanation = explain.explain(model, images, "integrated_gradients", targets=class_index, **settings)
    return ops.convert_to_tensor(explanation.maps)
