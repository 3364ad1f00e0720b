"""Which layers compute what the name of their Keras class promises, and which of them have a kernel."""

from typing import Any

import keras

OWN_MODULES = ("keras.", "keras_actmaps.backend.")  # whose layers compute what their class name promises
KERNEL_LAYERS = (
    *(keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
)  # a kernel, a bias and an activation


def is_plain(operation: Any, classes: tuple) -> bool:
    """Whether this is a Keras layer of these classes, or a subclass with an unchanged `call`."""
    return isinstance(operation, classes) and type(operation).call.__module__.startswith(OWN_MODULES)
