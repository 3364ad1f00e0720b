"""The models of the teaching experiments, any keras.applications backbone, and GAP -> 1x1 convolution."""

from keras_actmaps.models.zoo import (
    MODELS,
    backbone,
    cifar_cnn,
    grid_cnn,
    imagenet_classes,
    load_weights,
    pets_cnn,
    side,
    squeezenet,
    to_convolutional,
)
