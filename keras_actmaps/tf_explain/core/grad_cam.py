"""GradCAM: the features of a layer, weighted by their mean gradient."""

import cv2
import numpy as np
from keras import ops
from tf_explain.core import grad_cam as original

from keras_actmaps.core.cache import as_traced
from keras_actmaps.tf_explain.semantics import Explainer, at_layer, with_softmax
from keras_actmaps.tf_explain.utils.display import grid_display, heatmap_display


class GradCAM(Explainer, original.GradCAM):
    """Grad-CAM as in the paper where `use_guided_grads=False`; tf-explain's variant, its default, where True.

    The gradients are those of the logit, and the map has the paper's ReLU; compatible: those of the model's own output,
    and no ReLU.
    """

    def explain(
        self,
        validation_data,
        model,
        class_index,
        layer_name=None,
        use_guided_grads=True,
        colormap=cv2.COLORMAP_VIRIDIS,
        image_weight=0.7,
    ):
        """The maps of a class over the images, as a grid: uint8 RGB (H,W,3).

        layer_name: as `layer` of `kam.explain`. use_guided_grads: only the positive gradients at positive features.
        colormap: of OpenCV. image_weight: 0 shows the maps only.
        """
        images, _ = validation_data
        if layer_name is None:
            layer_name = self.infer_grad_cam_target_layer(model)
        if self.compatible:
            pair = at_layer(with_softmax(model, layer_name), images, class_index)
            cams = original.GradCAM.generate_ponderated_output(*_guided(*pair, use_guided_grads))
        else:
            pair = self.get_gradients_and_filters(model, images, layer_name, class_index, use_guided_grads)
            cams = self.generate_ponderated_output(*pair)
        pictures = [heatmap_display(cam.numpy(), image, colormap, image_weight) for cam, image in zip(cams, images)]
        return grid_display(np.array(pictures))

    @staticmethod
    def infer_grad_cam_target_layer(model) -> str:
        """The last layer with a spatial output, by its path; ValueError where there is none."""
        return as_traced(model).require_layers()[0]

    @staticmethod
    def get_gradients_and_filters(model, images, layer_name, class_index, use_guided_grads):
        """The features (N,h,w,K) of a layer, and the gradients of the class's logit at them."""
        return _guided(*at_layer(as_traced(model, layer_name), images, class_index), use_guided_grads)

    @staticmethod
    def generate_ponderated_output(outputs, grads) -> list:
        """The map (h,w) of each image."""
        return [GradCAM.ponderate_output(output, grad) for output, grad in zip(outputs, grads)]

    @staticmethod
    def ponderate_output(output, grad):
        """Features and gradients (h,w,K) -> the map (h,w): relu(sum_k a_k A^k), where a_k is the mean gradient."""
        return ops.relu(original.GradCAM.ponderate_output(output, grad))


def _guided(features, gradients, is_asked_for):
    """The pair, where asked for with the positive gradients at positive features only."""
    if is_asked_for:
        gradients = gradients * ops.cast((features > 0) & (gradients > 0), gradients.dtype)
    return features, gradients
