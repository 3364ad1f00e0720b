"""The networks of keras.applications, and SqueezeNet, with their preprocessing inside the model."""

import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import keras
import numpy as np
from keras import layers

from keras_actmaps.core.settings import Count, Gt, Setting
from keras_actmaps.models.preprocessing import linear
from keras_actmaps.models.squeezenet_v1 import squeezenet
from keras_actmaps.models.teaching import Shape, pooled_logits
from keras_actmaps.models.weights import PREPROCESS, load_weights

SIDES = {"squeezenet": 227, "InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299, "NASNetLarge": 331}
RESERVED = {
    "input_tensor",
    "input_shape",
    "include_top",
    "weights",
    "pooling",
    "classes",
    "classifier_activation",
    "name",
}
_CLASSES = Setting("classes", Count | None, None, "classes of a new head")
_MAXIMUM = Setting("maximum", Annotated[float, Gt(0)], 255.0, "value of white in the images")


def side(name: str) -> int:
    """The height and width in pixels of the images that a backbone was designed for."""
    return SIDES.get(_parse(name)[0], 224)


def backbone(
    name: str,
    weights: str | None = None,
    classes: int | None = None,
    image_shape: Shape | None = None,
    maximum: float = 255.0,
) -> keras.Model:
    """A network of keras.applications, or SqueezeNet v1.1, with its preprocessing as the first layer.

    Parameters
    ----------
    name : str
        As in keras.applications, in any case, or "squeezenet"; with settings after a colon: "ResNet50",
        "mobilenet:alpha=0.25".
    weights : str, optional
        None or "none" for random weights, "imagenet" for those that Keras downloads (not for SqueezeNet), or a file as
        for `load_weights`.
    classes : int, optional
        Number of classes of a new head of global average pooling and a linear layer; None keeps the ImageNet head of
        the network, without its softmax.
    image_shape : tuple, optional
        (H, W, 3); None for the shape that the network was designed for.
    maximum : float
        The value of white in the images, which are in 0..maximum.

    Returns
    -------
    keras.Model
        A model whose outputs are logits.

    Raises
    ------
    ValueError
        For an unknown name or setting, and for weights that do not fit.
    FileNotFoundError
        For a weights file that does not exist.
    OSError
        If weights cannot be downloaded.
    """
    classes, maximum = _CLASSES.validate(classes), _MAXIMUM.validate(maximum)
    name, settings = _parse(name)
    build, preprocess = _network(name)
    images = keras.Input(image_shape or (SIDES.get(name, 224),) * 2 + (3,), name="images")
    x = _preprocessing(preprocess, maximum)(images)
    unknown = sorted(set(settings) - (set(inspect.signature(build).parameters) - RESERVED))
    if unknown:
        raise ValueError(f"{name} has no setting {unknown[0]!r}")
    top = {"classifier_activation": None} if classes is None else {}
    make = partial(build, input_tensor=x, include_top=classes is None, **top, **settings)
    network = _built(make, name, "imagenet" if weights == "imagenet" else None)
    if weights not in (None, "none", "imagenet"):
        load_weights(network, weights)
    if classes is None:
        return network
    features = layers.Identity(name="features")(network.output)
    return keras.Model(images, pooled_logits(features, classes), name=network.name)


def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1000 ImageNet classes, which Keras downloads; empty if that fails."""
    try:
        ranked = keras.applications.imagenet_utils.decode_predictions(np.arange(1000.0)[None], top=1000)[0]
    except Exception:  # Keras raises a plain Exception when a download fails
        return ()
    return tuple(name for _, name, _ in reversed(ranked))


def _built(make: Callable[..., keras.Model], name: str, weights: str | None) -> keras.Model:
    """The network; ValueError for settings that Keras rejects, OSError for weights that cannot be downloaded."""
    try:
        return make(weights=weights)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{name} cannot be built: {' '.join(str(error).split())}") from error
    except Exception as error:  # Keras raises a plain Exception when a download fails
        message = f"the ImageNet weights of {name} could not be downloaded ({error}); pass a file of weights"
        raise OSError(message) from error


def _preprocessing(preprocess: Callable, maximum: float) -> layers.Layer:
    """The preprocessing of pixels 0..255 as one linear layer on pixels 0..maximum."""
    matrix, offset = linear(preprocess)
    matrix = matrix * (255.0 / maximum)
    if np.allclose(matrix, np.diag(np.diag(matrix))):
        return layers.Rescaling(np.diag(matrix).tolist(), offset.tolist(), name=PREPROCESS)
    mix = layers.Conv2D(3, 1, trainable=False, name=PREPROCESS)
    mix.build((None, None, None, 3))
    mix.set_weights([matrix.reshape((1, 1, 3, 3)), offset])
    return mix


def _network(name: str) -> tuple[Callable[..., keras.Model], Callable]:
    """The function that builds a network, and the preprocessing of its module."""
    if name == "squeezenet":
        return squeezenet, keras.applications.vgg16.preprocess_input
    modules = [vars(module) for _, module in inspect.getmembers(keras.applications, inspect.ismodule)]
    module = next(names for names in modules if name in names and "preprocess_input" in names)
    return getattr(keras.applications, name), module["preprocess_input"]


def _parse(name: str) -> tuple[str, dict[str, Any]]:
    """`mobilenet:alpha=0.25` -> ("MobileNet", {"alpha": 0.25})."""
    name, _, settings = str(name).partition(":")
    names = ["squeezenet", *(one for one, _ in inspect.getmembers(keras.applications, inspect.isfunction))]
    canonical = {one.lower(): one for one in names}
    if name.lower() not in canonical:
        raise ValueError(f"backbone must be one of {', '.join(names)}, got {name!r}")
    pairs = [setting.partition("=") for setting in filter(None, settings.split(","))]
    try:
        values = {key: json.loads(value) for key, _, value in pairs}
        is_numeric = all(isinstance(value, (int, float)) and np.isfinite(value) for value in values.values())
    except (ValueError, TypeError):  # NumPy's for an integer of too many digits
        is_numeric = False
    if not is_numeric:
        raise ValueError(f"the settings of a backbone must be numbers, as in mobilenet:alpha=0.25, got {settings!r}")
    return canonical[name.lower()], values
