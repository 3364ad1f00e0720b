"""The models of the teaching projects, any keras.applications backbone, and GAP -> 1x1 convolution.

Every model is a functional Keras model that ends in linear `logits`; its last spatial activation is `features`.
"""

import inspect
import json
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers


def grid_cnn(image_shape=(56, 56, 1), classes: int = 10) -> keras.Model:
    """Conv 32, pool, Conv 64, pool, Conv 128, GAP, Dense: 3x3, same padding, ReLU."""
    # He's initialisation: Keras' default makes the first of one input channel so small that training starts late.
    settings = {"padding": "same", "activation": "relu", "kernel_initializer": "he_uniform"}
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(32, 3, **settings, name="conv1")(images)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(64, 3, **settings, name="conv2")(x)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Conv2D(128, 3, **settings, name="features")(x)
    return keras.Model(images, _pooled_logits(x, classes), name="grid_cnn")


def cifar_cnn(image_shape=(32, 32, 3), classes: int = 10) -> keras.Model:
    """Four blocks of convolution, batch normalisation and ReLU (32, 2x64, 128, 256), pooled twice, GAP, Dense."""
    return _blocks("cifar_cnn", image_shape, classes, widths=(32, 64, 128, 256), depths=(1, 2, 1, 1), pools=2)


def pets_cnn(image_shape=(128, 128, 3), classes: int = 37) -> keras.Model:
    """Four convolution blocks (32, 64, 128, 256) with a pool after each of the first three, GAP, Dense."""
    return _blocks("pets_cnn", image_shape, classes, widths=(32, 64, 128, 256), depths=(1, 1, 1, 1), pools=3, stride=2)


def _blocks(name, image_shape, classes, widths, depths, pools, stride=1) -> keras.Model:
    images = x = keras.Input(image_shape, name="images")
    for number, (width, depth) in enumerate(zip(widths, depths), start=1):
        for turn in range(depth):
            at = f"{number}" if depth == 1 else f"{number}{'abc'[turn]}"
            x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=f"conv{at}")(x)
            x = layers.BatchNormalization(name=f"norm{at}")(x)
            last = number == len(widths) and turn == depth - 1
            x = layers.ReLU(name="features" if last else f"relu{at}")(x)
            stride = 1
        if number <= pools:
            x = layers.MaxPooling2D(name=f"pool{number}")(x)
    return keras.Model(images, _pooled_logits(x, classes), name=name)


def _pooled_logits(features, classes: int):
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    return layers.Dense(classes, name="logits")(pooled)


MODELS = {"grid_cnn": grid_cnn, "cifar_cnn": cifar_cnn, "pets_cnn": pets_cnn}


SIDES = {"squeezenet": 227, "InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299, "NASNetLarge": 331}


def side(name: str) -> int:
    """The height and width in pixels that a backbone was made for."""
    return SIDES.get(_parse(name)[0], 224)


def backbone(
    name: str, weights: str | None = None, classes: int | None = None, image_shape=None, maximum: float = 255.0
) -> keras.Model:
    """A keras.applications network or `squeezenet` (v1.1), with its own preprocessing inside the model.

    name: as keras.applications spells it, in any case, with settings after a colon: `ResNet50`,
        `mobilenet:alpha=0.25`.
    weights: None or "none" (random), "imagenet" (downloaded by Keras; not for squeezenet) or a file: `.npz` with
        arrays named LAYER/VARIABLE, or `.weights.h5`.
    classes: None keeps the network's own ImageNet head without its softmax; a number puts GAP and a new Dense
        layer on the last spatial output. Logits either way.
    maximum: the value of white in the images that will be given, (N,H,W,3) in 0..maximum.

    Raises ValueError for an unknown name or setting and for weights that do not fit, FileNotFoundError for no file.
    """
    name, settings = _parse(name)
    build, preprocess = _network(name)
    images = keras.Input(image_shape or (SIDES.get(name, 224),) * 2 + (3,), name="images")
    x = _affine(preprocess, maximum)(images)
    unknown = sorted(set(settings) - set(inspect.signature(build).parameters))
    if unknown:
        raise ValueError(f"{name} has no setting {unknown[0]!r}")
    top = {"classifier_activation": None} if classes is None else {}
    make = partial(build, input_tensor=x, include_top=classes is None, **top, **settings)
    network = _fetched(make, name) if weights == "imagenet" else make(weights=None)
    if weights not in (None, "none", "imagenet"):
        load_weights(network, weights)
    if classes is None:
        return network
    features = layers.Identity(name="features")(network.output)
    return keras.Model(images, _pooled_logits(features, classes), name=network.name)


def _fetched(make, name: str) -> keras.Model:
    """A network with ImageNet weights, which Keras downloads; OSError where they are not to be had."""
    try:
        return make(weights="imagenet")
    except ValueError:
        raise
    except Exception as error:  # what Keras raises when a download fails
        raise OSError(f"the ImageNet weights of {name} could not be fetched ({error}); give a file") from error


def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1000 classes, which Keras downloads; empty where they are not to be had."""
    try:
        ranked = keras.applications.imagenet_utils.decode_predictions(np.arange(1000.0)[None], top=1000)[0]
    except Exception:  # what Keras raises when a download fails
        return ()
    return tuple(name for _, name, _ in reversed(ranked))


def squeezenet(input_tensor, weights=None, include_top: bool = True, classifier_activation=None) -> keras.Model:
    """SqueezeNet v1.1 (Iandola et al. 2016): eight fire modules; the head is a 1x1 convolution, ReLU and GAP."""
    if weights == "imagenet":
        raise ValueError("squeezenet has no weights to download; give the .npz file that holds them")
    x = layers.Conv2D(64, 3, 2, activation="relu", name="conv1")(input_tensor)
    for number, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64), start=2):
        if number in (2, 4, 6):
            x = layers.MaxPooling2D(3, 2, name=f"pool{number - 1}")(x)
        x = layers.Conv2D(squeezed, 1, activation="relu", name=f"fire{number}_squeeze")(x)
        wide = [layers.Conv2D(4 * squeezed, side, padding="same", activation="relu",
                              name=f"fire{number}_expand{side}x{side}")(x) for side in (1, 3)]  # fmt: skip
        x = layers.Concatenate(name=f"fire{number}_concat")(wide)
    if include_top:
        x = layers.Dropout(0.5, name="dropout")(x)
        x = layers.Conv2D(1000, 1, name="conv10")(x)
        x = layers.ReLU(name="features")(x)
        x = layers.GlobalAveragePooling2D(name="logits")(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="squeezenet")


def load_weights(model: keras.Model, path) -> None:
    """Weights from a `.npz` with arrays named LAYER/VARIABLE (others are left alone) or from a `.weights.h5` file."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {str(path)!r}")
    if path.suffix == ".h5":
        model.load_weights(path)
        return
    try:
        arrays = np.load(path)
        named = {layer: [arrays[f"{layer.name}/{v.name}"] for v in layer.weights]
                 for layer in model.layers if layer.weights and layer.name != PREPROCESS}  # fmt: skip
        for layer, values in named.items():
            layer.set_weights(values)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"the weights in {str(path)!r} do not fit {model.name!r}: {error}") from error


PREPROCESS = "preprocess"


def _affine(preprocess, maximum: float):
    """`preprocess` of pixels 0..255 as one linear layer, read off its values at black and at the pure colours."""
    probes = np.concatenate([np.zeros((1, 3)), 255.0 * np.eye(3)]).astype("float32").reshape((4, 1, 1, 3))
    values = np.asarray(preprocess(probes.copy())).reshape((4, 3))
    matrix, offset = (values[1:] - values[0]) / maximum, values[0]
    if np.allclose(matrix, np.diag(np.diag(matrix))):
        return layers.Rescaling(np.diag(matrix).tolist(), offset.tolist(), name=PREPROCESS)
    mix = layers.Conv2D(3, 1, trainable=False, name=PREPROCESS)
    mix.build((None, None, None, 3))
    mix.set_weights([matrix.reshape((1, 1, 3, 3)), offset])
    return mix


def _network(name: str):
    """The building function of a network and the preprocessing of its module."""
    if name == "squeezenet":
        return squeezenet, keras.applications.vgg16.preprocess_input
    modules = [module for _, module in inspect.getmembers(keras.applications, inspect.ismodule)]
    module = next(m for m in modules if hasattr(m, name) and hasattr(m, "preprocess_input"))
    return getattr(keras.applications, name), module.preprocess_input


def _parse(name: str) -> tuple[str, dict]:
    """`mobilenet:alpha=0.25` -> ("MobileNet", {"alpha": 0.25})."""
    name, _, settings = name.partition(":")
    names = ["squeezenet", *(n for n, _ in inspect.getmembers(keras.applications, inspect.isfunction))]
    spelled = {n.lower(): n for n in names}
    if name.lower() not in spelled:
        raise ValueError(f"no backbone {name!r}; there are: {', '.join(names)}")
    pairs = [setting.partition("=") for setting in filter(None, settings.split(","))]
    try:
        return spelled[name.lower()], {key: json.loads(value) for key, _, value in pairs}
    except ValueError:
        raise ValueError(f"backbone settings are numbers, as in mobilenet:alpha=0.25, not {settings!r}") from None


def to_convolutional(model: keras.Model) -> keras.Model:
    """GAP + Dense -> a 1x1 convolution with the transferred weights: images -> class maps (N, h, w, classes).

    The maps averaged over space are the logits of `model`, with which all other layers are shared.
    Raises ValueError where the model does not end in GlobalAveragePooling2D and Dense.
    """
    passed = (layers.Softmax, layers.Dropout, layers.Identity, layers.Activation)
    dense, tensor = _walk_up(model.outputs[0], passed)
    pool, tensor = _walk_up(tensor, passed[1:3]) if isinstance(dense, layers.Dense) else (None, None)
    if not isinstance(pool, layers.GlobalAveragePooling2D):
        raise ValueError(
            f"{model.name!r} does not end in GlobalAveragePooling2D and Dense, so it cannot become convolutional"
        )
    classes = layers.Conv2D(dense.units, 1, use_bias=dense.use_bias, name="class_maps")
    maps = classes(tensor)
    kernel, *bias = dense.get_weights()
    classes.set_weights([kernel[None, None], *bias])
    return keras.Model(model.inputs, maps, name=f"{model.name}_convolutional")


def _walk_up(tensor, passed):
    """The first layer above `tensor` that is not of a kind in `passed`, and that layer's input tensor."""
    operation, node, _ = tensor._keras_history
    above = operation._inbound_nodes[node].input_tensors
    if isinstance(operation, passed) and above:
        return _walk_up(above[0], passed)
    return operation, above[0] if above else None
