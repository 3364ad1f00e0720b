"""A photograph and a network for a first try: nothing is downloaded and nothing is trained."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
from keras import layers

from keras_actmaps.core.image_files import read_image
from keras_actmaps.core.types import Array

COLORS = ("red", "green", "blue")
_PHOTOGRAPH = "mpl-data/sample_data/grace_hopper.jpg"  # a public-domain portrait that Matplotlib installs
_STEP = 4  # of every so many pixels one is kept


def example() -> tuple[keras.Model, Array]:
    """A network that finds saturated colors, and a photograph with a blue background and a red and white flag.

    The classes are `COLORS`. The weights are set by hand, so it is known what a right map shows: channel c of
    `features` is relu(x_c - 0.8 m - 0.25), where m is the mean of the other two colors, averaged over 5x5 pixels, and
    the logit of color c is ten times the mean of that channel.

    Returns
    -------
    keras.Model
        Takes images of shape (N, 150, 128, 3) in [0, 1].
    float32 array of shape (1, 150, 128, 3)

    Raises
    ------
    FileNotFoundError
        If Matplotlib was installed without its sample data.

    Examples
    --------
    >>> import keras_actmaps as kam
    >>> model, image = kam.models.example()
    >>> e = kam.explain(model, image)
    >>> kam.models.COLORS[int(e.targets[0])]
    'red'
    """
    image = _photograph()
    return _color_network(image.shape[1:]), image


def _photograph() -> Array:
    """The photograph at a quarter of its sides, float32 in [0, 1], as a batch of one."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise FileNotFoundError("the photograph is one of Matplotlib's sample data, and Matplotlib is not installed")
    pixels = read_image(Path(found.origin).parent / _PHOTOGRAPH).pixels.astype("float32") / 255
    height, width, channels = (side - side % _STEP if side > _STEP else side for side in pixels.shape)
    blocks = pixels[:height, :width].reshape(height // _STEP, _STEP, width // _STEP, _STEP, channels)
    return blocks.mean((1, 3))[None]


def _color_network(shape: tuple[int, ...]) -> keras.Model:
    """Opponent colors, blurred, then global average pooling and a linear layer."""
    images = keras.Input(shape, name="images")
    x = layers.Conv2D(3, 1, activation="relu", name="colors")(images)
    x = layers.AveragePooling2D(5, 1, padding="same", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(images, layers.Dense(3, name="logits")(x), name="colors_of_a_photograph")
    opponents = 1.4 * np.eye(3) - 0.4  # 1 for the color itself, -0.4 for each of the other two
    model.get_layer("colors").set_weights([opponents[None, None], np.full(3, -0.25)])
    model.get_layer("logits").set_weights([10 * np.eye(3), np.zeros(3)])
    return model
