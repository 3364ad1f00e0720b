"""OcclusionSensitivity: how the score changes when a patch of the image is hidden."""

from typing import Any

import cv2
import numpy as np
from tf_explain.core import occlusion_sensitivity as original

from keras_actmaps.core.types import Array
from keras_actmaps.methods import explain
from keras_actmaps.tf_explain.explainer import BATCH_SIZE, ClassIndex, Explainer, ValidationData
from keras_actmaps.tf_explain.utils.display import grid_display, heatmap_display
from keras_actmaps.tf_explain.utils.image import apply_grey_patch, value_range


class OcclusionSensitivity(Explainer, original.OcclusionSensitivity):
    """The drop in the logit when a patch is gray, the middle of the value range of the images.

    With `compatible`, 1 - the model's output with a patch of 127.5, for any value range of the images.
    """

    def __init__(self, batch_size: int | None = None, *, compatible: bool | None = None) -> None:
        super().__init__(compatible=compatible)
        self.batch_size = batch_size

    def explain(
        self,
        validation_data: ValidationData,
        model: Any,
        class_index: ClassIndex,
        patch_size: int,
        colormap: int = cv2.COLORMAP_VIRIDIS,
    ) -> Array:
        """The maps of a class over the images as a grid: uint8 RGB (H, W, 3). colormap: of OpenCV."""
        images, _ = validation_data
        if self.compatible:
            maps = [self.get_sensitivity_map(model, image, class_index, patch_size) for image in images]
        else:
            maps = list(self._drops(model, np.asarray(images), class_index, patch_size))
        pictures = [heatmap_display(one, image, colormap) for one, image in zip(maps, images)]
        return grid_display(np.array(pictures))

    def get_sensitivity_map(self, model: Any, image: Array, class_index: int, patch_size: int) -> Array:
        """tf-explain's measure for one image (H, W, C): 1 - the output with each patch hidden, resized to (H, W)."""
        rows, columns = (range(0, side, patch_size) for side in image.shape[:2])
        hidden = [apply_grey_patch(image, x, y, patch_size) for y in rows for x in columns]
        outputs = model.predict(np.array(hidden), batch_size=self.batch_size, verbose=0)
        drops = 1 - np.array([output[class_index] for output in outputs])
        return cv2.resize(drops.reshape(len(rows), len(columns)), image.shape[1::-1])

    def _drops(self, model: Any, images: Array, class_index: ClassIndex, patch_size: int) -> Array:
        """The drop of the logit, (N, H, W)."""
        patch = tuple(min(patch_size, side) for side in images.shape[1:-1])
        explanation = explain.explain(
            model,
            images,
            "occlusion",
            targets=class_index,
            batch_size=self.batch_size or BATCH_SIZE,
            patch=patch,
            stride=patch,
            fill=sum(value_range(images)) / 2,
        )
        return explanation.maps
