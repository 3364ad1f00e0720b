"""IntegratedGradientsCallback: integrated gradients, epoch by epoch."""

from tf_explain.callbacks import integrated_gradients as original

from keras_actmaps.tf_explain.callbacks.writing import GridCallback
from keras_actmaps.tf_explain.core.integrated_gradients import IntegratedGradients


class IntegratedGradientsCallback(GridCallback, original.IntegratedGradientsCallback):
    """`IntegratedGradients` at the end of each epoch."""

    tag = "IntegratedGradients"

    def grid(self):
        explainer = IntegratedGradients(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.class_index, self.n_steps)
