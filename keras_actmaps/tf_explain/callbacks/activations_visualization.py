"""ActivationsVisualizationCallback: the feature maps of layers, epoch by epoch."""

from pathlib import Path
from typing import Any

from tf_explain.callbacks import activations_visualization as original

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.callbacks.grid_callback import GridCallback
from keras_actmaps.tf_explain.core.activations import ExtractActivations
from keras_actmaps.tf_explain.explainer import ValidationData


class ActivationsVisualizationCallback(GridCallback, original.ActivationsVisualizationCallback):
    """`ExtractActivations` at the end of each epoch."""

    tag = "Activations Visualization"

    def __init__(
        self,
        validation_data: ValidationData,
        layers_name: Any,
        output_dir: str | Path = Path("./logs/activations_visualizations"),
        *,
        compatible: bool | None = None,
    ) -> None:
        GridCallback.__init__(self, validation_data, output_dir, compatible)
        self.layers_name = layers_name

    def grid(self) -> Array:
        explainer = ExtractActivations(compatible=self.compatible)
        return explainer.explain(self.validation_data, self.model, self.layers_name)
