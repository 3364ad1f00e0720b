"""Short fits of a small network, with and without an ExplainCallback."""

import keras
import numpy as np
from keras import layers, ops

import keras_actmaps as kam
from helpers import BACKEND, array, enlarged
from keras_actmaps.callbacks.history import DIGITS

SIDE, CLASSES, BATCH, STEPS = 12, 4, 8, 4


class CallCounter(layers.Layer):
    """Returns its input and counts how often Python calls it, in training and in inference."""

    def __init__(self):
        super().__init__()
        self.counts = {True: 0, False: 0}

    def call(self, inputs, training=False):
        self.counts[bool(training)] += 1
        return inputs


def network(seed=0):
    """Everything that a fit changes or draws: dropout, noise, batch normalization, an activity penalty."""
    keras.utils.set_random_seed(seed)
    penalty = "l2" if keras.config.dtype_policy().name == "float32" else None  # Keras takes it in one precision only
    parts = [
        keras.Input((SIDE, SIDE, 1)),
        layers.GaussianNoise(0.1, seed=1),
        layers.Conv2D(6, 3, padding="same", activity_regularizer=penalty, name="conv"),
        layers.BatchNormalization(),
        layers.ReLU(name="features"),
        CallCounter(),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES, name="logits"),
    ]
    return keras.Sequential(parts)


def compiled(model, **settings):
    """The model compiled for training; on TensorFlow without XLA, which takes long to compile."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain = {"jit_compile": False} if BACKEND == "tensorflow" else {}
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"], **{**plain, **settings})
    return model


def make_data():
    """Images whose brightest quarter is their class, the classes, and masks of that quarter."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, BATCH * STEPS)
    images, masks = rng.random((len(labels), SIDE, SIDE, 1), "float32"), np.zeros((len(labels), SIDE, SIDE), bool)
    for image, mask, label in zip(images, masks, labels):
        top, left = label // 2 * 6, label % 2 * 6
        image[top : top + 6, left : left + 6] += 1
        mask[top : top + 6, left : left + 6] = True
    return images / 2, labels, masks


def fit(model, data, *callbacks, epochs=3, **settings):
    """`model.fit`, with the same random numbers each time."""
    keras.utils.set_random_seed(1)
    images, labels, _ = data
    return model.fit(images, labels, BATCH, epochs, callbacks=list(callbacks), verbose=0, **settings)


def make_callback(data, folder, method="gradcam", count=5, **settings):
    """A quiet ExplainCallback of the first `count` images with their labels and masks."""
    images, labels, masks = (part[:count] for part in data)
    defaults = {"output": folder, "labels": labels, "masks": masks, "say": lambda line: None}
    return kam.ExplainCallback(images, method, **{**defaults, **settings})


def state(model):
    """Weights, statistics, random state of layers, metrics, and the optimizer's variables."""
    variables = [*model.variables, *model.optimizer.variables, *(v for m in model.metrics for v in m.variables)]
    return [array(ops.convert_to_tensor(variable)) for variable in variables]


def is_same(state, other):
    """Whether two states are equal, bit for bit."""
    return len(state) == len(other) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(state, other))


def load(folder, number, unit="epoch"):
    """The explanation of a snapshot on disk."""
    return kam.Explanation.load(folder / f"{unit}-{number:0{DIGITS[unit]}d}.npz")


class WeightCopies(keras.callbacks.Callback):
    """Copies of the model's weights after each epoch and after each batch."""

    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


def expected_gradcam(weights, images, targets):
    """Grad-CAM before GAP and a linear layer: relu(sum_k w_k A_k) / (h w), resized by OpenCV."""
    model = network()
    model.set_weights(weights)
    features = keras.Model(model.inputs, model.get_layer("features").output).predict(images, verbose=0)
    kernel = array(model.get_layer("logits").kernel)[:, targets]
    return enlarged(np.maximum(np.einsum("nhwk,kn->nhw", features, kernel), 0) / SIDE**2, (SIDE, SIDE))


def energy_in_mask(explanation, data):
    """The share of the map's positive part inside the mask, averaged over the images."""
    mask, positive = data[2][: len(explanation)], np.maximum(explanation.maps, 0).astype("float64")
    return np.mean((positive * mask).sum((1, 2)) / positive.sum((1, 2)))
