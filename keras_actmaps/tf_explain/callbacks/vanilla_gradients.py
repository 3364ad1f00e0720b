"""VanillaGradientsCallback: the gradient at the images, epoch by epoch."""

import re
import warnings

from tf_explain.callbacks import vanilla_gradients as original

from keras_actmaps.tf_explain.callbacks.writing import GridCallback
from keras_actmaps.tf_explain.core.vanilla_gradients import UNSUPPORTED_ARCHITECTURE_WARNING, VanillaGradients


class VanillaGradientsCallback(GridCallback, original.VanillaGradientsCallback):
    """`VanillaGradients` at the end of each epoch."""

    explainer = VanillaGradients()

    def __init__(self, *args, compatible: bool | None = None, **settings):
        super().__init__(*args, compatible=compatible, **settings)
        if compatible is not None:
            self.explainer = type(self.explainer)(compatible=compatible)

    def set_model(self, model):
        """The model in training; how it ends makes no difference, unless compatible."""
        with warnings.catch_warnings():
            if not self.explainer.compatible:
                warnings.filterwarnings("ignore", re.escape(UNSUPPORTED_ARCHITECTURE_WARNING))
            super().set_model(model)

    @property
    def tag(self) -> str:
        return type(self.explainer).__name__

    def grid(self):
        return self.explainer.explain_score_model(self.validation_data, self.score_model, self.class_index)
