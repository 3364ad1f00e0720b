"""The models of the teaching experiments, backbones of keras.applications, and fully convolutional classifiers."""

from collections.abc import Callable

import keras

from keras_actmaps.models.backbones import backbone, imagenet_classes, side
from keras_actmaps.models.convolutional import to_convolutional
from keras_actmaps.models.example import COLORS, example
from keras_actmaps.models.squeezenet_v1 import squeezenet
from keras_actmaps.models.teaching import cifar_cnn, grid_cnn, pets_cnn
from keras_actmaps.models.text import TEXT_MODELS, text_conv, text_gap, text_lstm, text_transformer
from keras_actmaps.models.vision_transformer import vit
from keras_actmaps.models.weights import load_weights

MODELS: dict[str, Callable[..., keras.Model]] = {
    "grid_cnn": grid_cnn,
    "cifar_cnn": cifar_cnn,
    "pets_cnn": pets_cnn,
    "vit": vit,
}  # of the teaching experiments

__all__ = [
    "COLORS",
    "MODELS",
    "TEXT_MODELS",
    "backbone",
    "cifar_cnn",
    "example",
    "grid_cnn",
    "imagenet_classes",
    "load_weights",
    "pets_cnn",
    "side",
    "squeezenet",
    "text_conv",
    "text_gap",
    "text_lstm",
    "text_transformer",
    "to_convolutional",
    "vit",
]
