"""ExtractActivations: the feature maps of layers as one grid."""

from typing import Any

import numpy as np
from tf_explain.core import activations as original

from keras_actmaps.core.types import Array
from keras_actmaps.features.feature_maps import feature_maps
from keras_actmaps.tf_explain.explainer import BATCH_SIZE, Explainer, ValidationData
from keras_actmaps.tf_explain.utils.display import filter_display


class ExtractActivations(Explainer, original.ExtractActivations):
    """The activations of layers; unlike in tf-explain, also of several layers and of layers inside nested models."""

    def __init__(self, batch_size: int | None = None, *, compatible: bool | None = None) -> None:
        super().__init__(compatible=compatible)
        self.batch_size = batch_size

    def explain(self, validation_data: ValidationData, model: Any, layers_name: Any) -> Array:
        """All channels of the layers, image by image, scaled from the lowest value (0) to the highest (255).

        Parameters
        ----------
        validation_data : tuple
            Images (N, H, W, C), and labels, which are not used.
        model : keras.Model
        layers_name : str or list of str
            As for `kam.feature_maps`. Smaller layers are enlarged to the size of the largest.

        Returns
        -------
        uint8 array of shape (H, W)
        """
        images = np.asarray(validation_data[0])
        layers = feature_maps(model, images, layers_name, self.batch_size or BATCH_SIZE)
        grid = filter_display(_concatenate_channels(list(layers.values())))
        lowest, span = grid.min(), np.ptp(grid)
        return ((grid - lowest) / (span or 1) * 255).astype("uint8")


def _concatenate_channels(layers: list[Array]) -> Array:
    """Features (N, h, w, K) of several sizes as one array of all channels."""
    height, width = np.max([layer.shape[1:3] for layer in layers], axis=0)
    return np.concatenate([_enlarge(layer, height, width) for layer in layers], axis=-1)


def _enlarge(features: Array, height: int, width: int) -> Array:
    """Features (N, h, w, K) at the size (N, H, W, K), by the nearest value."""
    rows, columns = (np.arange(side) * small // side for side, small in zip((height, width), features.shape[1:]))
    return features[:, rows[:, None], columns]
