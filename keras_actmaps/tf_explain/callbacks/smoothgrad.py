"""SmoothGradCallback: SmoothGrad, epoch by epoch."""

from tf_explain.callbacks import smoothgrad as original

from keras_actmaps.tf_explain.callbacks.writing import GridCallback
from keras_actmaps.tf_explain.core.smoothgrad import SmoothGrad


class SmoothGradCallback(GridCallback, original.SmoothGradCallback):
    """`SmoothGrad` at the end of each epoch."""

    tag = "SmoothGrad"

    def grid(self):
        explainer = SmoothGrad(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.class_index, self.num_samples, self.noise)
