"""GradCAMCallback: Grad-CAM, epoch by epoch."""

from pathlib import Path

from tf_explain.callbacks import grad_cam as original

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.callbacks.grid_callback import GridCallback
from keras_actmaps.tf_explain.core.grad_cam import GradCAM
from keras_actmaps.tf_explain.explainer import ClassIndex, ValidationData


class GradCAMCallback(GridCallback, original.GradCAMCallback):
    """`GradCAM` at the end of each epoch."""

    tag = "Grad CAM"

    def __init__(
        self,
        validation_data: ValidationData,
        class_index: ClassIndex,
        layer_name: str | None = None,
        output_dir: str | Path = Path("./logs/grad_cam"),
        use_guided_grads: bool = True,
        *,
        compatible: bool | None = None,
    ) -> None:
        GridCallback.__init__(self, validation_data, output_dir, compatible)
        self.class_index = class_index
        self.layer_name = layer_name
        self.use_guided_grads = use_guided_grads

    def grid(self) -> Array:
        return GradCAM(compatible=self.compatible).explain(
            self.validation_data,
            self.model,
            class_index=self.class_index,
            layer_name=self.layer_name,
            use_guided_grads=self.use_guided_grads,
        )
