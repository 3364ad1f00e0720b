"""SmoothGradCallback: SmoothGrad, epoch by epoch."""

from pathlib import Path

from tf_explain.callbacks import smoothgrad as original

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.callbacks.grid_callback import GridCallback
from keras_actmaps.tf_explain.core.smoothgrad import SmoothGrad
from keras_actmaps.tf_explain.explainer import ClassIndex, ValidationData


class SmoothGradCallback(GridCallback, original.SmoothGradCallback):
    """`SmoothGrad` at the end of each epoch."""

    tag = "SmoothGrad"

    def __init__(
        self,
        validation_data: ValidationData,
        class_index: ClassIndex,
        num_samples: int = 5,
        noise: float = 1.0,
        output_dir: str | Path = Path("./logs/smoothgrad"),
        *,
        compatible: bool | None = None,
    ) -> None:
        GridCallback.__init__(self, validation_data, output_dir, compatible)
        self.class_index = class_index
        self.num_samples = num_samples
        self.noise = noise

    def grid(self) -> Array:
        explainer = SmoothGrad(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.class_index, self.num_samples, self.noise)
