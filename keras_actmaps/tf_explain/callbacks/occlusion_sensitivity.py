"""OcclusionSensitivityCallback: occlusion, epoch by epoch."""

from tf_explain.callbacks import occlusion_sensitivity as original

from keras_actmaps.tf_explain.callbacks.writing import GridCallback
from keras_actmaps.tf_explain.core.occlusion_sensitivity import OcclusionSensitivity


class OcclusionSensitivityCallback(GridCallback, original.OcclusionSensitivityCallback):
    """`OcclusionSensitivity` at the end of each epoch."""

    tag = "Occlusion Sensitivity"

    def grid(self):
        explainer = OcclusionSensitivity(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.class_index, self.patch_size)
