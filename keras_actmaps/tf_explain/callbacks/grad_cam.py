"""GradCAMCallback: Grad-CAM, epoch by epoch."""

from tf_explain.callbacks import grad_cam as original

from keras_actmaps.tf_explain.callbacks.writing import GridCallback
from keras_actmaps.tf_explain.core.grad_cam import GradCAM


class GradCAMCallback(GridCallback, original.GradCAMCallback):
    """`GradCAM` at the end of each epoch."""

    tag = "Grad CAM"

    def grid(self):
        return GradCAM(compatible=self.compatible).explain(
            self.validation_data,
            self.model,
            class_index=self.class_index,
            layer_name=self.layer_name,
            use_guided_grads=self.use_guided_grads,
        )
