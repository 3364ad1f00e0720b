"""Kinds of model that people explain: small networks with seeded weights, inputs, targets and equivalent models."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

import keras_actmaps as kam
from helpers import zoo_parts as parts
from helpers.networks import randomised
from helpers.tensors import BACKEND
from helpers.zoo_parts import IMAGE, L, body, classify, head

COUNT = 3  # inputs of each kind


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of model.

    Attributes
    ----------
    build : callable
        Builds the model; its weights are randomised afterwards.
    shape : tuple of int
        Shape of an input; a dict or list of them for several inputs.
    inputs : callable or None
        `random -> inputs`, where they are not uniform in 0..1.
    targets
        As for `explain`.
    twin : callable or None
        Builds a model that computes the same with the same list of weights.
    to_twin, weights : callable
        From the inputs, and from the list of weights, to those of the twin.
    finish : callable
        Changes the model, whose weights are final, in place or into another one.
    backends : tuple of str
        Frameworks on which it can be built.
    """

    build: Callable[[], Any]
    shape: Any = IMAGE
    inputs: Callable[[np.random.Generator], Any] | None = None
    targets: Any = None
    twin: Callable[[], Any] | None = None
    to_twin: Callable[[Any], Any] = _same
    weights: Callable[[list], list] = _same
    finish: Callable[[Any], Any] = _same
    backends: tuple[str, ...] = ("tensorflow", "jax", "torch")


def images(*stack: Any, shape: tuple = IMAGE) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *stack])


def pairs(random: np.random.Generator) -> list[np.ndarray]:
    return [random.random((COUNT, *IMAGE), "float32") for _ in range(2)]


def tokens(random: np.random.Generator) -> np.ndarray:
    return random.integers(1, 20, (COUNT, 7))


def padded_tokens(random: np.random.Generator) -> np.ndarray:
    ids = tokens(random)
    ids[0, 4:] = 0
    return ids


def tokens_and_segments(random: np.random.Generator) -> dict[str, np.ndarray]:
    ids = padded_tokens(random)
    segments = (np.arange(7) > 3) * np.ones((COUNT, 1), int)
    return {"padding_mask": (ids > 0).astype(int), "segment_ids": segments, "token_ids": ids}


def last_channel(inputs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(inputs, 1, -1))


def signed_rows(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(COUNT, 6)).astype("float32")


FIRST = (3, *IMAGE[:2])

KINDS: dict[str, Kind] = {
    # how it is built
    "Sequential": Kind(build=classify, twin=parts.functional),
    "functional": Kind(build=parts.functional, twin=classify),
    "nested": Kind(build=parts.nested, twin=parts.functional),
    "subclassed": Kind(build=parts.Subclassed, twin=classify),
    "subclassed, not traceable": Kind(build=parts.Opaque, twin=classify),
    "subclassed, sizes at run time": Kind(build=parts.Unsized, twin=classify),
    "shared layers": Kind(build=lambda: parts.repeated(True), twin=lambda: parts.repeated(False),
                          weights=lambda found: found[:4] + found[2:]),
    "torch.nn.Module": Kind(build=parts.torch_module, shape=FIRST, backends=("torch",)),
    "function of predictions": Kind(build=classify, finish=parts.predictions),
    # its top
    "softmax, activation": Kind(build=lambda: classify(activation="softmax"), twin=classify),
    "softmax, layer": Kind(build=lambda: classify(L.Softmax()), twin=classify),
    "softmax, operation": Kind(build=lambda: parts.functional(ops.softmax), twin=classify),
    "softmax, Lambda": Kind(build=lambda: classify(L.Lambda(lambda x: ops.softmax(x))), twin=classify),
    "softmax, own layer": Kind(build=lambda: classify(parts.OwnSoftmax()), twin=classify),
    "softmax, subclassed": Kind(build=lambda: parts.Subclassed("softmax"), twin=classify),
    "one sigmoid": Kind(build=lambda: classify(activation="sigmoid", classes=1), targets=1,
                        twin=lambda: classify(L.Activation(ops.sigmoid), classes=1)),
    "multi-label sigmoids": Kind(build=lambda: classify(activation="sigmoid"), twin=classify),
    "regression": Kind(build=lambda: classify(classes=1), twin=lambda: parts.functional(classes=1)),
    # images
    "Flatten and Dense": Kind(build=lambda: images(*body(), L.Flatten(), L.Dense(5, "relu"), L.Dense(3))),
    "depthwise and separable": Kind(build=parts.mobile),
    "squeeze and excitation": Kind(build=parts.gated),
    "residual": Kind(build=parts.residual),
    "dense concatenation": Kind(build=parts.concatenated),
    "ConvNeXt-like": Kind(build=parts.next_like),
    "group normalization": Kind(build=lambda: images(
        L.Conv2D(6, 3), L.GroupNormalization(3), L.ReLU(), L.Conv2D(4, 3), L.GroupNormalization(2), L.ReLU(), *head())),
    "PReLU, leaky ReLU, ReLU6": Kind(build=parts.rectified),
    "GELU and SiLU": Kind(build=lambda: images(*body("gelu"), L.Conv2D(4, 3, activation="silu"), *head())),
    "transposed convolution": Kind(build=lambda: images(
        *body(), L.Conv2DTranspose(4, 3, 2, activation="relu"), *head())),
    "dropout and augmentation": Kind(build=lambda: images(L.RandomFlip(seed=1), *body(), L.Dropout(0.5), *head()),
                                     twin=classify),
    "rescaling and normalization": Kind(build=lambda: images(
        L.Rescaling(2.0, -1.0), parts.normalization(), *body("tanh"), *head()),
        twin=lambda: images(parts.normalization(plain=True), *body("tanh"), *head())),
    "Lambda inside": Kind(build=lambda: images(L.Lambda(lambda x: x * 2 - 1), *body(), *head()),
                          twin=lambda: images(L.Rescaling(2.0, -1.0), *body(), *head())),
    "channels first": Kind(build=lambda: classify(data_format="channels_first", shape=FIRST), shape=FIRST,
                           twin=classify, to_twin=last_channel),
    "vision transformer": Kind(build=parts.vision_transformer),
    # other inputs
    "1-D convolution": Kind(build=lambda: keras.Sequential([
        keras.Input((12, 2)), L.Conv1D(4, 3, activation="relu"), L.Conv1D(5, 3, activation="relu"),
        L.GlobalAveragePooling1D(), L.Dense(3)]), shape=(12, 2)),
    "3-D convolution": Kind(build=lambda: keras.Sequential([
        keras.Input((6, 5, 4, 1)), L.Conv3D(3, 3, activation="relu", padding="same"), L.GlobalAveragePooling3D(),
        L.Dense(3)]), shape=(6, 5, 4, 1)),
    "table": Kind(build=lambda: keras.Sequential([
        keras.Input((6,)), L.Dense(8, "relu"), L.Dense(5, "relu"), L.Dense(3)]),
        shape=(6,), inputs=signed_rows, twin=parts.functional_table),
    "LSTM": Kind(build=lambda: parts.recurrent(L.LSTM(5)), shape=(7, 2)),
    "GRU": Kind(build=lambda: parts.recurrent(L.GRU(5)), shape=(7, 2)),
    "Bidirectional": Kind(build=lambda: parts.recurrent(L.Bidirectional(L.LSTM(3))), shape=(7, 2)),
    "RNN with Masking": Kind(build=lambda: parts.recurrent(L.Masking(), L.LSTM(5)), shape=(7, 2)),
    "TimeDistributed": Kind(build=lambda: keras.Sequential([
        keras.Input((4, *IMAGE)), L.TimeDistributed(L.Conv2D(3, 3, activation="relu")),
        L.TimeDistributed(L.GlobalAveragePooling2D()), L.LSTM(4), L.Dense(3)]), shape=(4, *IMAGE)),
    "Embedding": Kind(build=parts.embedded, shape=(7,), inputs=tokens),
    "tokens, masked LSTM": Kind(build=lambda: parts.read(L.LSTM(5)), shape=(7,), inputs=padded_tokens),
    "tokens, masked transformer": Kind(build=lambda: parts.attended(), shape=(7,), inputs=padded_tokens),
    "tokens, mask and segments": Kind(
        build=parts.read_with_segments, shape=dict.fromkeys(("padding_mask", "segment_ids", "token_ids"), (7,)),
        inputs=tokens_and_segments),
    "transformer block": Kind(build=parts.transformer, shape=(7, 6)),
    "siamese": Kind(build=parts.siamese, shape=[IMAGE, IMAGE], inputs=pairs, targets=kam.targets.Output()),
    "image and table": Kind(build=parts.image_and_table, shape=[IMAGE, (5,)]),
    "inputs by name": Kind(build=lambda: parts.image_and_table(True), shape={"picture": IMAGE, "row": (5,)}),
    # other outputs
    "U-Net": Kind(build=parts.unet, targets=kam.targets.Mean()),
    "autoencoder": Kind(build=parts.autoencoder, targets=kam.targets.Output(None, (2, 3, 1))),
    "detector with several outputs": Kind(build=parts.detector, targets=kam.targets.Output("classes", (5, 2))),
    # numbers
    "mixed precision": Kind(build=lambda: classify(dtype="mixed_bfloat16")),
    "float16": Kind(build=lambda: classify(dtype="float16")),
    "float64": Kind(build=lambda: classify(dtype="float64"), twin=classify),
    "int8": Kind(build=lambda: images(*body(), *head()), finish=parts.quantized),
    "LoRA": Kind(build=parts.low_rank, finish=parts.adapted, twin=parts.low_rank, weights=parts.merged),
}  # fmt: skip
KINDS = {name: kind for name, kind in KINDS.items() if BACKEND in kind.backends}


@functools.cache
def example(name: str) -> tuple[Any, Any, Any]:
    """The model of a kind, its inputs and targets."""
    kind, random = KINDS[name], np.random.default_rng(len(name))
    keras.utils.clear_session(free_memory=False)  # so that names do not depend on the other kinds
    keras.utils.set_random_seed(0)
    model = kind.build()
    inputs = kind.inputs(random) if kind.inputs else _uniform(kind.shape, random)
    _called(model, inputs)
    if isinstance(model, keras.Model):
        randomised(model)
    return kind.finish(model), inputs, kind.targets


def twin(name: str) -> tuple[Any, Any] | None:
    """An equivalent model and its inputs; None without one."""
    kind = KINDS[name]
    if kind.twin is None:
        return None
    model, inputs, _ = example(name)
    other, its_inputs = kind.twin(), kind.to_twin(inputs)
    _called(other, its_inputs)
    other.set_weights(kind.weights(model.get_weights()))
    return other, its_inputs


def _uniform(shape: Any, random: np.random.Generator) -> Any:
    """Uniform inputs in 0..1 in the structure of their shapes."""
    if isinstance(shape, dict):
        return {name: _uniform(one, random) for name, one in shape.items()}
    if isinstance(shape, list):
        return [_uniform(one, random) for one in shape]
    return random.random((COUNT, *shape), "float32")


def _called(model: Any, inputs: Any) -> None:
    """Call a model once, so that it has weights."""
    if isinstance(model, keras.Model):
        model(inputs)
