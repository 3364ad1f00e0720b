"""SmoothGrad: the mean gradient of images with noise."""

import keras
import numpy as np
from keras import ops
from tf_explain.core import smoothgrad as original

from keras_actmaps import backend
from keras_actmaps.tf_explain.semantics import Explainer, input_gradients
from keras_actmaps.tf_explain.utils.display import grid_display
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale


class SmoothGrad(Explainer, original.SmoothGrad):
    """The mean gradient of the logit; compatible: of the categorical cross-entropy of the model's own output."""

    def explain(self, validation_data, model, class_index, num_samples=5, noise=1.0):
        """The sums over channels of the mean gradients' absolute values as a grid of grey pictures: uint8 (H,W).

        noise: its standard deviation, in the units of the images. It comes from NumPy's global random state.
        """
        images = np.asarray(validation_data[0])
        if class_index is None:
            class_index = model.predict(images, verbose=0).argmax(-1)
        targets = np.repeat(np.broadcast_to(class_index, len(images)), num_samples)
        noisy = self.generate_noisy_images(images, num_samples, noise)
        mean = _mean_loss_gradients if self.compatible else self.get_averaged_gradients
        gradients = mean(noisy, model, targets, num_samples)
        return grid_display(transform_to_normalized_grayscale(abs(gradients), together=self.compatible).numpy())

    @staticmethod
    def get_averaged_gradients(noisy_images, model, class_index, num_samples):
        """The mean gradients (N,H,W,C) of the class's logit at num_samples noisy images each."""
        return _means(input_gradients(noisy_images, model, class_index), num_samples)


def _mean_loss_gradients(noisy_images, model, class_index, num_samples):
    """The mean gradients (N,H,W,C) of tf-explain's loss."""

    def loss(images):
        outputs = model(images, training=False)
        wanted = ops.one_hot(class_index, outputs.shape[-1])
        return keras.losses.categorical_crossentropy(wanted, outputs), None

    (gradients,), _ = backend.gradients(loss, [noisy_images.astype("float32")])
    return _means(gradients, num_samples)


def _means(gradients, num_samples: int):
    return ops.mean(ops.reshape(gradients, (-1, num_samples, *gradients.shape[1:])), axis=1)
