"""VanillaGradientsCallback: the gradient at the images, epoch by epoch."""

import re
import warnings
from pathlib import Path
from typing import Any

from tf_explain.callbacks import vanilla_gradients as original

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.callbacks.grid_callback import GridCallback
from keras_actmaps.tf_explain.core.vanilla_gradients import UNSUPPORTED_ARCHITECTURE_WARNING, VanillaGradients
from keras_actmaps.tf_explain.explainer import ClassIndex, ValidationData


class VanillaGradientsCallback(GridCallback, original.VanillaGradientsCallback):
    """`VanillaGradients` at the end of each epoch."""

    explainer = VanillaGradients()

    def __init__(
        self,
        validation_data: ValidationData,
        class_index: ClassIndex,
        output_dir: str | Path | None = None,
        *,
        compatible: bool | None = None,
    ) -> None:
        folder = output_dir or Path("./logs") / self.default_output_subdir
        GridCallback.__init__(self, validation_data, folder, compatible)
        self.class_index = class_index
        self.score_model: Any = None
        if compatible is not None:
            self.explainer = type(self.explainer)(compatible=compatible)

    @property
    def tag(self) -> str:  # type: ignore[override]
        return type(self.explainer).__name__

    def set_model(self, model: Any) -> None:
        """Set the model in training; tf-explain's warning about its last layer applies only with `compatible`."""
        with warnings.catch_warnings():
            if not self.explainer.compatible:
                warnings.filterwarnings("ignore", re.escape(UNSUPPORTED_ARCHITECTURE_WARNING))
            super().set_model(model)

    def grid(self) -> Array:
        return self.explainer.explain_score_model(self.validation_data, self.score_model, self.class_index)
