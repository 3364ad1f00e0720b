"""ExtractActivations: the feature maps of layers as one grid."""

import numpy as np
from tf_explain.core import activations as original

from keras_actmaps.features.feature_maps import feature_maps
from keras_actmaps.tf_explain.semantics import Explainer
from keras_actmaps.tf_explain.utils.display import filter_display


class ExtractActivations(Explainer, original.ExtractActivations):
    """What layers make of images. Beside tf-explain's: several layers at once, and layers inside nested models."""

    def __init__(self, batch_size=None, *, compatible: bool | None = None):
        super().__init__(compatible=compatible)
        self.batch_size = batch_size

    def explain(self, validation_data, model, layers_name):
        """All channels of the layers, image by image, from their lowest value (0) to their highest (255): uint8 (H,W).

        layers_name: a name or a list of names, as `kam.feature_maps` takes them. Smaller layers are enlarged to the
        size of the largest.
        """
        images = np.asarray(validation_data[0])
        layers = feature_maps(model, images, layers_name, self.batch_size or 32)
        grid = filter_display(_side_by_side(list(layers.values())))
        lowest, span = grid.min(), np.ptp(grid)
        return ((grid - lowest) / (span or 1) * 255).astype("uint8")


def _side_by_side(layers: list[np.ndarray]) -> np.ndarray:
    """Features (N,h,w,K) of several sizes as one array of all their channels."""
    height, width = np.max([layer.shape[1:3] for layer in layers], axis=0)
    sized = [np.stack([_enlarged(features, height, width) for features in layer]) for layer in layers]
    return np.concatenate(sized, axis=-1)


def _enlarged(features: np.ndarray, height: int, width: int) -> np.ndarray:
    """Features (h,w,K) -> (H,W,K), each value a block."""
    rows, columns = (np.arange(side) * small // side for side, small in zip((height, width), features.shape))
    return features[rows[:, None], columns]
