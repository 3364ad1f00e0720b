"""SqueezeNet v1.1, which is not part of keras.applications."""

from typing import Any

import keras
from keras import layers


def squeezenet(
    input_tensor: keras.KerasTensor,
    weights: str | None = None,
    include_top: bool = True,
    classifier_activation: Any = None,
) -> keras.Model:
    """SqueezeNet v1.1 (Iandola et al. 2016): eight fire modules; the head is a 1x1 convolution, ReLU and GAP.

    The parameters are those of the networks of keras.applications.

    Raises
    ------
    ValueError
        For weights="imagenet", which cannot be downloaded.
    """
    if weights == "imagenet":
        raise ValueError("squeezenet has no ImageNet weights to download; pass a .npz file with its weights")
    x = layers.Conv2D(64, 3, 2, activation="relu", name="conv1")(input_tensor)
    for number, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64), start=2):
        if number in (2, 4, 6):
            x = layers.MaxPooling2D(3, 2, name=f"pool{number - 1}")(x)
        x = layers.Conv2D(squeezed, 1, activation="relu", name=f"fire{number}_squeeze")(x)
        expanded = [_expand(x, 4 * squeezed, size, f"fire{number}_expand{size}x{size}") for size in (1, 3)]
        x = layers.Concatenate(name=f"fire{number}_concat")(expanded)
    if include_top:
        x = layers.Dropout(0.5, name="dropout")(x)
        x = layers.Conv2D(1000, 1, name="conv10")(x)
        x = layers.ReLU(name="features")(x)
        x = layers.GlobalAveragePooling2D(name="logits")(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="squeezenet")


def _expand(x: keras.KerasTensor, filters: int, size: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(filters, size, padding="same", activation="relu", name=name)(x)
