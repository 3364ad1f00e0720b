"""Training protocols: model, epochs, batch size and learning rate for each data set."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras

from keras_actmaps import backend, models
from keras_actmaps.core._keras_compat import all_layers

if TYPE_CHECKING:
    from keras_actmaps.data import Data, Info


@dataclass(frozen=True)
class Protocol:
    """How a model is trained: Adam and cross-entropy, at a constant or a one-cycle learning rate."""

    model: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    one_cycle: bool = False

    def steps(self, images: int) -> int:
        """The number of batches in an epoch of so many images."""
        return -(-images // self.batch_size)


PROTOCOLS = {
    "grid": Protocol("grid_cnn", epochs=10),
    "drawn-grid": Protocol("grid_cnn", epochs=6, batch_size=32, learning_rate=6e-3, one_cycle=True),
    "cifar10": Protocol("cifar_cnn", epochs=14, learning_rate=4e-3, one_cycle=True),
    "pets": Protocol("pets_cnn", epochs=60, batch_size=32, learning_rate=2e-3, one_cycle=True),
    "imdb": Protocol("text_gap", epochs=20, batch_size=32, learning_rate=4e-3, one_cycle=True),
    "drawn-reviews": Protocol("text_gap", epochs=10, batch_size=32, learning_rate=1e-2, one_cycle=True),
    "folder": Protocol("pets_cnn", epochs=20, batch_size=32, learning_rate=2e-3, one_cycle=True),
}
TRANSFORMER = Protocol("vit", epochs=8, batch_size=32, learning_rate=1e-3, one_cycle=True)
# One linear layer on pooled features.
HEAD = Protocol("backbone", epochs=60, batch_size=256, learning_rate=1e-2, one_cycle=True)


def find_protocol(dataset: str, frozen: bool = False, **changes: Any) -> Protocol:
    """The protocol of a data set, a transformer or a linear head on a frozen backbone, with `changes` if not None."""
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("model") == TRANSFORMER.model:
        return replace(TRANSFORMER, **changes)
    return replace(HEAD if frozen else PROTOCOLS.get(dataset, PROTOCOLS["folder"]), **changes)


def new_model(protocol: Protocol, weights: str | None, data: "Data") -> keras.Model:
    """The compiled model of a protocol.

    Parameters
    ----------
    protocol : Protocol
    weights : str or None
        Those of a backbone, as for `kam.models.backbone`.
    data : Data

    Raises
    ------
    ValueError
        For a backbone on images without color.
    """
    info = data.info
    if info.vocabulary or protocol.model in models.TEXT_MODELS:
        model = _text_model(protocol.model, info)
    elif protocol.model in models.MODELS:
        model = models.MODELS[protocol.model](info.image_shape, len(info.classes))
    elif info.image_shape[-1] != 3:
        raise ValueError(f"backbone {protocol.model!r} needs color images, but those of {info.name!r} are gray")
    else:
        height, width, channels = info.image_shape
        white, classes = 255.0 / info.scale, len(info.classes)
        model = models.backbone(protocol.model, weights, classes, (height, width, channels), white)
    _set_momentum(model, protocol.steps(info.counts["train"]))
    compile_model(model, protocol, info.counts["train"])
    return model


def _text_model(name: str, info: "Info") -> keras.Model:
    """A classifier of token ids; ValueError for a model of images on texts, and the other way around."""
    if not info.vocabulary:
        raise ValueError(f"{name!r} takes token ids, and {info.name!r} has images")
    if name not in models.TEXT_MODELS:
        raise ValueError(f"{info.name!r} has texts; the backbone must be one of {', '.join(models.TEXT_MODELS)}")
    return models.TEXT_MODELS[name](len(info.vocabulary), info.image_shape[0], len(info.classes))


def _set_momentum(model: keras.Model, steps: int) -> None:
    """Let the moving averages of batch normalization follow within an epoch of so many steps.

    With Keras' momentum of 0.99 and 29 steps, three quarters of their initial values are left after an epoch. Here, 5 %
    are left, exp(-3), from 10 to 300 steps; with more steps, less.
    """
    momentum = min(0.99, max(0.7, 1 - 3 / steps))
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def compile_model(model: keras.Model, protocol: Protocol, images: int) -> None:
    """Compile a model for training on so many images per epoch."""
    rate: Any = protocol.learning_rate
    if protocol.one_cycle:
        steps = protocol.epochs * protocol.steps(images)
        warmup = max(1, steps // 5)
        rate = keras.optimizers.schedules.CosineDecay(
            rate / 10, max(1, steps - warmup), alpha=1e-3, warmup_target=rate, warmup_steps=warmup
        )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA, which "auto" selects, is slower than a graph on a CPU.
    jit = "auto" if backend.xla_by_default() else False
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"], jit_compile=jit)
