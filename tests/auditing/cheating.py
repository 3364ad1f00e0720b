"""A classifier that cheats by construction: stripes decide the class, but a mark outweighs them."""

import keras
import numpy as np
from keras import layers

SIDE = 25
MARK = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]], "float32")


def cheating_model(weight=20.0, classes=2):
    """Class 0 is horizontal stripes, class 1 vertical ones; the mark adds `weight` to class 1."""
    inputs = keras.Input((SIDE, SIDE, 1))
    stripes = layers.Conv2D(2, 3, activation="relu", name="stripes")(inputs)
    stripes = layers.GlobalAveragePooling2D()(stripes)
    mark = layers.Conv2D(1, 5, activation="relu", name="mark")(inputs)
    mark = layers.GlobalMaxPooling2D()(mark)
    outputs = layers.Dense(classes, name="logits")(layers.Concatenate()([stripes, mark]))
    model = keras.Model(inputs, outputs, name="cheating")
    along = np.array([[-1, -1, -1], [2, 2, 2], [-1, -1, -1]], "float32") / 6
    model.get_layer("stripes").set_weights([np.stack([along, along.T], -1)[:, :, None], np.zeros(2)])
    template = np.where(MARK > 0, 1 / MARK.sum(), -1 / (1 - MARK).sum())
    model.get_layer("mark").set_weights([template[:, :, None, None].astype("float32"), np.array([-0.8])])
    kernel = np.zeros((3, classes), "float32")
    kernel[0, 0] = kernel[1, 1] = 20
    kernel[2, 1] = weight
    model.get_layer("logits").set_weights([kernel, np.zeros(classes)])
    return model


def striped_images(count, seed=0, share=0.5):
    """Images, labels, and which of class 1 have the mark."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    lines = np.broadcast_to(np.arange(SIDE)[:, None] % 3 == 0, (SIDE, SIDE)).astype("float32")
    images = np.where(labels[:, None, None] == 0, lines, lines.T) * 0.3
    images = (images + random.uniform(0, 0.2, images.shape)).astype("float32")[..., None]
    marked = (labels == 1) & (random.random(count) < share)
    for number in np.flatnonzero(marked):
        top, left = 1 + random.integers(3), (2, 17)[random.integers(2)] + random.integers(3)
        images[number, top : top + 5, left : left + 5, 0] = MARK
    return images, labels, marked
