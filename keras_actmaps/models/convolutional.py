"""From global average pooling and a dense layer to a fully convolutional classifier."""

from typing import Any

import keras
from keras import layers

from keras_actmaps.core._keras_compat import producer


def to_convolutional(model: keras.Model) -> keras.Model:
    """Replace global average pooling and the dense layer by a 1x1 convolution with the same weights.

    The outputs of the new model are class maps, whose averages over space are the logits of `model`:

        M_c(x, y) = sum_k w_kc A_k(x, y) + b_c

    (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", eq. 2). All other layers are shared
    with `model`.

    Parameters
    ----------
    model : keras.Model
        A model that ends in GlobalAveragePooling2D and Dense, optionally with Softmax, Dropout, Identity or
        Activation layers between and after them.

    Returns
    -------
    keras.Model
        From images to class maps (N, h, w, classes).

    Raises
    ------
    ValueError
        For a model that does not end in GlobalAveragePooling2D and Dense.
    """
    skipped = (layers.Softmax, layers.Dropout, layers.Identity, layers.Activation)
    dense, tensor = _producer_except(model.outputs[0], skipped)
    pool, tensor = _producer_except(tensor, skipped[1:3]) if isinstance(dense, layers.Dense) else (None, None)
    if not isinstance(pool, layers.GlobalAveragePooling2D):
        raise ValueError(
            f"{model.name!r} does not end in GlobalAveragePooling2D and Dense, so it cannot become convolutional"
        )
    classes = layers.Conv2D(dense.units, 1, use_bias=dense.use_bias, name="class_maps")
    maps = classes(tensor)
    kernel, *bias = dense.get_weights()
    classes.set_weights([kernel[None, None], *bias])
    return keras.Model(model.inputs, maps, name=f"{model.name}_convolutional")


def _producer_except(tensor: keras.KerasTensor, skipped: tuple[type, ...]) -> tuple[Any, Any]:
    """The operation that made a tensor, past those of the types in `skipped`, and the tensor that it read."""
    operation, read = producer(tensor)
    if isinstance(operation, skipped) and read:
        return _producer_except(read[0], skipped)
    return operation, read[0] if read else None
