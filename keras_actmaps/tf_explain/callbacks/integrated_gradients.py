"""IntegratedGradientsCallback: integrated gradients, epoch by epoch."""

from pathlib import Path

from tf_explain.callbacks import integrated_gradients as original

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.callbacks.grid_callback import GridCallback
from keras_actmaps.tf_explain.core.integrated_gradients import IntegratedGradients
from keras_actmaps.tf_explain.explainer import ClassIndex, ValidationData


class IntegratedGradientsCallback(GridCallback, original.IntegratedGradientsCallback):
    """`IntegratedGradients` at the end of each epoch."""

    tag = "IntegratedGradients"

    def __init__(
        self,
        validation_data: ValidationData,
        class_index: ClassIndex,
        n_steps: int = 5,
        output_dir: str | Path = Path("./logs/integrated_gradients"),
        *,
        compatible: bool | None = None,
    ) -> None:
        GridCallback.__init__(self, validation_data, output_dir, compatible)
        self.class_index = class_index
        self.n_steps = n_steps

    def grid(self) -> Array:
        explainer = IntegratedGradients(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.class_index, self.n_steps)
