"""SmoothGrad: the mean gradient at images with noise."""

from typing import Any

import keras
import numpy as np
from keras import ops
from tf_explain.core import smoothgrad as original

from keras_actmaps import backend
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.tf_explain.explainer import ClassIndex, Explainer, ValidationData, input_gradients
from keras_actmaps.tf_explain.utils.display import grid_display
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale


class SmoothGrad(Explainer, original.SmoothGrad):
    """The mean gradient of the logit; with `compatible`, of the categorical cross-entropy of the model's output."""

    def explain(
        self,
        validation_data: ValidationData,
        model: Any,
        class_index: ClassIndex,
        num_samples: int = 5,
        noise: float = 1.0,
    ) -> Array:
        """The sums over channels of the mean gradients' magnitudes as a grid of gray pictures: uint8 (H, W).

        Parameters
        ----------
        validation_data : tuple
            Images (N, H, W, C), and labels, which are not used.
        model : keras.Model
        class_index : int, array of int of shape (N,), or None
            None is the class predicted without noise.
        num_samples : int
            Noisy copies of each image.
        noise : float
            Standard deviation, in the units of the images. It is drawn from NumPy's global random state.

        Returns
        -------
        uint8 array of shape (H, W)
        """
        images = np.asarray(validation_data[0])
        if class_index is None:
            class_index = model.predict(images, verbose=0).argmax(-1)
        targets = np.repeat(np.broadcast_to(class_index, len(images)), num_samples)
        noisy = self.generate_noisy_images(images, num_samples, noise)
        average = _average_loss_gradients if self.compatible else self.get_averaged_gradients
        gradients = average(noisy, model, targets, num_samples)
        return grid_display(transform_to_normalized_grayscale(abs(gradients), together=self.compatible).numpy())

    @staticmethod
    def get_averaged_gradients(noisy_images: Any, model: Any, class_index: ClassIndex, num_samples: int) -> Tensor:
        """The mean gradients (N, H, W, C) of the class's logit at num_samples noisy images each."""
        return _average(input_gradients(noisy_images, model, class_index), num_samples)


def _average_loss_gradients(noisy_images: Array, model: Any, class_index: Array, num_samples: int) -> Tensor:
    """The mean gradients (N, H, W, C) of tf-explain's loss."""

    def loss(images: Tensor) -> tuple[Tensor, None]:
        outputs = model(images, training=False)
        one_hot = ops.one_hot(class_index, outputs.shape[-1])
        return keras.losses.categorical_crossentropy(one_hot, outputs), None

    (gradients,), _ = backend.gradients(loss, [noisy_images.astype("float32")])
    return _average(gradients, num_samples)


def _average(gradients: Tensor, num_samples: int) -> Tensor:
    return ops.mean(ops.reshape(gradients, (-1, num_samples, *gradients.shape[1:])), axis=1)
