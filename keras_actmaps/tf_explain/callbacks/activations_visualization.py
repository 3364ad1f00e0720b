"""ActivationsVisualizationCallback: the feature maps of layers, epoch by epoch."""

from tf_explain.callbacks import activations_visualization as original

from keras_actmaps.tf_explain.callbacks.writing import GridCallback
from keras_actmaps.tf_explain.core.activations import ExtractActivations


class ActivationsVisualizationCallback(GridCallback, original.ActivationsVisualizationCallback):
    """`ExtractActivations` at the end of each epoch."""

    tag = "Activations Visualization"

    def grid(self):
        explainer = ExtractActivations(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.layers_name)
