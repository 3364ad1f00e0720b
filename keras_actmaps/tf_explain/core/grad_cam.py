"""GradCAM: the features of a layer, weighted by their mean gradient."""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from keras import ops
from tf_explain.core import grad_cam as original

from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.tf_explain.explainer import (
    ClassIndex,
    Explainer,
    ValidationData,
    features_and_gradients,
    trace_with_output_activation,
)
from keras_actmaps.tf_explain.utils.display import grid_display, heatmap_display


class GradCAM(Explainer, original.GradCAM):
    """Grad-CAM as in the paper with `use_guided_grads=False`, and tf-explain's variant, its default, with True.

    The gradients are those of the logit, and the map has the paper's ReLU. With `compatible`, the gradients are those
    of the model's output, and there is no ReLU.
    """

    def explain(
        self,
        validation_data: ValidationData,
        model: Any,
        class_index: ClassIndex,
        layer_name: str | None = None,
        use_guided_grads: bool = True,
        colormap: int = cv2.COLORMAP_VIRIDIS,
        image_weight: float = 0.7,
    ) -> Array:
        """The maps of a class over the images as a grid.

        Parameters
        ----------
        validation_data : tuple
            Images (N, H, W, C), and labels, which are not used.
        model : keras.Model
        class_index : int, array of int of shape (N,), or None
            None is the predicted class.
        layer_name : str or None
            As `layer` of `kam.explain`.
        use_guided_grads : bool
            Whether only the positive gradients at positive features count.
        colormap : int
            Of OpenCV.
        image_weight : float
            0 shows the maps only.

        Returns
        -------
        uint8 array of shape (H, W, 3), RGB
        """
        images, _ = validation_data
        if layer_name is None:
            layer_name = self.infer_grad_cam_target_layer(model)
        if self.compatible:
            pair = features_and_gradients(trace_with_output_activation(model, layer_name), images, class_index)
            cams = original.GradCAM.generate_ponderated_output(*_guided(*pair, use_guided_grads))
        else:
            pair = self.get_gradients_and_filters(model, images, layer_name, class_index, use_guided_grads)
            cams = self.generate_ponderated_output(*pair)
        pictures = [heatmap_display(cam.numpy(), image, colormap, image_weight) for cam, image in zip(cams, images)]
        return grid_display(np.array(pictures))

    @staticmethod
    def infer_grad_cam_target_layer(model: Any) -> str:
        """The path of the last layer with a spatial output; ValueError if there is none."""
        return as_traced(model).require_layers()[0]

    @staticmethod
    def get_gradients_and_filters(
        model: Any, images: Any, layer_name: str, class_index: ClassIndex, use_guided_grads: bool
    ) -> tuple[Tensor, Tensor]:
        """The features of a layer, and the gradients of the class's logit at them, (N, h, w, K) each."""
        pair = features_and_gradients(as_traced(model, layer_name), images, class_index)
        return _guided(*pair, use_guided_grads)

    @staticmethod
    def generate_ponderated_output(outputs: Iterable[Tensor], grads: Iterable[Tensor]) -> list[Tensor]:
        """The map (h, w) of each image."""
        return [GradCAM.ponderate_output(output, grad) for output, grad in zip(outputs, grads)]

    @staticmethod
    def ponderate_output(output: Tensor, grad: Tensor) -> Tensor:
        """The map (h, w) of features A and gradients (h, w, K): relu(sum_k a_k A^k), where a_k is the mean gradient."""
        return ops.relu(original.GradCAM.ponderate_output(output, grad))


def _guided(features: Tensor, gradients: Tensor, use_guided_grads: bool) -> tuple[Tensor, Tensor]:
    """The pair, with the positive gradients at positive features only where `use_guided_grads`."""
    if use_guided_grads:
        gradients = gradients * ops.cast((features > 0) & (gradients > 0), gradients.dtype)
    return features, gradients
