"""IntegratedGradients: the gradient along the way from black to the image, times the way."""

import numpy as np
from keras import ops
from tf_explain.core import integrated_gradients as original

from keras_actmaps.methods import explain
from keras_actmaps.tf_explain.semantics import Explainer
from keras_actmaps.tf_explain.utils.display import grid_display
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale


class IntegratedGradients(Explainer, original.IntegratedGradients):
    """Integrated gradients of the logit, which sum to its rise from a black image.

    compatible: the mean gradient of the model's own output, at n_steps even places of the way.
    """

    def explain(self, validation_data, model, class_index, n_steps=10):
        """The sums over channels of the attributions' absolute values as a grid of grey pictures: uint8 (H,W)."""
        images = np.asarray(validation_data[0])
        if self.compatible:
            paths = self.generate_interpolations(images, n_steps)
            found = original.IntegratedGradients.get_integrated_gradients(paths, model, class_index, n_steps)
        else:
            found = _integrated(model, images, class_index, n_steps, "zero")
        return grid_display(transform_to_normalized_grayscale(abs(found), together=self.compatible).numpy())

    @staticmethod
    def get_integrated_gradients(interpolated_images, model, class_index, n_steps):
        """The attributions (N,H,W,C) from the first to the last of n_steps images each, (N n_steps,H,W,C)."""
        images = np.asarray(interpolated_images)
        ways = images.reshape(-1, n_steps, *images.shape[1:])
        found = [_integrated(model, way[-1:], class_index, n_steps, way[0]) for way in ways]
        return ops.concatenate(found)


def _integrated(model, images, class_index, steps: int, baseline):
    """The attributions of all channels as a tensor (N,H,W,C)."""
    settings = {"steps": steps, "baseline": baseline, "channels": "keep"}
    return ops.convert_to_tensor(
        explain.explain(model, images, "integrated_gradients", targets=class_index, **settings).maps
    )
