"""OcclusionSensitivityCallback: occlusion, epoch by epoch."""

from pathlib import Path

from tf_explain.callbacks import occlusion_sensitivity as original

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.callbacks.grid_callback import GridCallback
from keras_actmaps.tf_explain.core.occlusion_sensitivity import OcclusionSensitivity
from keras_actmaps.tf_explain.explainer import ClassIndex, ValidationData


class OcclusionSensitivityCallback(GridCallback, original.OcclusionSensitivityCallback):
    """`OcclusionSensitivity` at the end of each epoch."""

    tag = "Occlusion Sensitivity"

    def __init__(
        self,
        validation_data: ValidationData,
        class_index: ClassIndex,
        patch_size: int,
        output_dir: str | Path = Path("./logs/occlusion_sensitivity"),
        *,
        compatible: bool | None = None,
    ) -> None:
        GridCallback.__init__(self, validation_data, output_dir, compatible)
        self.class_index = class_index
        self.patch_size = patch_size

    def grid(self) -> Array:
        explainer = OcclusionSensitivity(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.class_index, self.patch_size)
