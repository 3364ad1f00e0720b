"""The matrix of kinds of model and methods: what must hold for a pair of them."""

import functools
import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras import ops, tree

import keras_actmaps as kam
from helpers.settings import QUICK
from helpers.tensors import array, gradient_of
from helpers.zoo import KINDS, example, twin
from helpers.zoo_parts import Subclassed

LOW_PRECISION = {"mixed precision": 0.05, "float16": 0.05, "int8": 1e-3}  # largest difference, as a share of a map
EXACT = 2e-4
LOGITS = {  # kinds whose outputs are logits, on which the oracles can differentiate the model itself
    *("Sequential", "functional", "nested", "subclassed", "subclassed, sizes at run time", "shared layers"),
    *("regression", "Flatten and Dense", "depthwise and separable", "squeeze and excitation", "residual"),
    *("dense concatenation", "ConvNeXt-like", "group normalization", "PReLU, leaky ReLU, ReLU6", "GELU and SiLU"),
    *("transposed convolution", "dropout and augmentation", "rescaling and normalization", "Lambda inside"),
    *("vision transformer", "1-D convolution", "3-D convolution", "table", "LSTM", "GRU", "Bidirectional"),
    *("RNN with Masking", "TimeDistributed", "Embedding", "transformer block", "U-Net", "autoencoder"),
    *("detector with several outputs", "LoRA", "subclassed, not traceable"),
}
TOKENS = {"Embedding"}  # whose gradients are those at embeddings, which tests/core/test_tokens.py compares


@functools.cache
def reasons(kind: str) -> dict[str, str | None]:
    """For each method None, or the reason why it does not fit the kind of model."""
    try:
        return dict(kam.supported(*example(kind)))
    except (ValueError, TypeError) as error:
        return dict.fromkeys(kam.METHODS, str(error))


def settings_for(kind: str, method: str) -> dict[str, Any]:
    """Settings that make a method quick and fit inputs of any rank."""
    if method == "occlusion":
        return {"patch": 3} if kind == "table" or len(KINDS[kind].shape) == 3 else {}
    return QUICK.get(method, {}) | ({"samples": 100} if method == "kernel_shap" else {})


def explained(model: Any, inputs: Any, method: str, targets: Any, settings: dict) -> kam.Explanation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kam.explain(model, inputs, method, targets=targets, batch_size=2, **settings)


def check(kind: str, method: str) -> None:
    """A finite map of the right shape that depends on nothing but its input, equal to the oracles; or the error."""
    model, inputs, targets = example(kind)
    settings = settings_for(kind, method)
    if reason := reasons(kind)[method]:
        with pytest.raises((ValueError, TypeError), match=f"^{re.escape(reason)}$"):
            kam.explain(model, inputs, method, targets=targets, batch_size=2, **settings)
        return
    e = explained(model, inputs, method, targets, settings)
    tolerance = LOW_PRECISION.get(kind, EXACT)
    _check_shapes(e, inputs, is_channels_first=kind in ("channels first", "torch.nn.Module"))
    some = explained(model, _rows(inputs, [2, 0]), method, targets, settings)
    close(some.maps, _rows(e.maps, [2, 0]), tolerance)
    close(some.scores, e.scores[[2, 0]], tolerance)
    if (found := twin(kind)) and kam.supported(*found, targets)[method] is None:
        other = explained(*found, method, targets, settings)
        close(other.maps, e.maps, tolerance)
        close(other.scores, e.scores, tolerance)
    if kind in LOGITS:
        score = scores_of(model, e.targets, targets)
        close(e.scores, array(score(inputs)), tolerance)
        if method in ORACLES and not (kind in TOKENS and "gradients" in kam.METHODS[method].needs):
            close(e.maps, ORACLES[method](score, inputs, **settings), tolerance)


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Equal structures of arrays, up to a share of the largest value of each."""
    for one, two in zip(tree.flatten(found), tree.flatten(expected), strict=True):
        assert one.shape == two.shape
        assert np.abs(one - two).max() <= tolerance * max(np.abs(two).max(), 1e-6)


def _rows(values: Any, rows: list[int]) -> Any:
    return tree.map_structure(lambda value: value[rows], values)


def _check_shapes(e: kam.Explanation, inputs: Any, is_channels_first: bool) -> None:
    """One finite map per input, without channels."""
    assert np.isfinite(e.scores).all() and e.scores.shape == (len(tree.flatten(inputs)[0]),)
    for maps, values in zip(tree.flatten(e.maps), tree.flatten(inputs)):
        space = values.shape[2:] if is_channels_first else values.shape[1:-1] or values.shape[1:]
        assert maps.shape == (len(values), *space) and maps.dtype == np.float32 and np.isfinite(maps).all()


def scores_of(model: Any, classes: Any, targets: Any) -> Callable:
    """The function from inputs to the scores that are explained, as tensors of the framework."""

    options = {} if isinstance(model, Subclassed) else {"training": False}

    def score(inputs: Any) -> Any:
        outputs = model(inputs, **options)
        if classes is None:
            return targets(outputs)
        rows = ops.one_hot(classes, outputs.shape[1])
        return ops.sum(outputs * ops.cast(rows, outputs.dtype), axis=1)

    return score


def gradient_x_input(score: Callable, inputs: np.ndarray) -> np.ndarray:
    values = gradient_of(score, inputs) * inputs
    return values.sum(-1) if inputs.ndim > 2 else values


def saliency(score: Callable, inputs: np.ndarray) -> np.ndarray:
    values = np.abs(gradient_of(score, inputs))
    return values.max(-1) if inputs.ndim > 2 else values


def integrated_gradients(score: Callable, inputs: np.ndarray, *, steps: int) -> np.ndarray:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    positions = ((nodes + 1) / 2).astype("float32")
    mean = sum(weight / 2 * gradient_of(score, inputs * at) for at, weight in zip(positions, weights))
    values = mean * inputs
    return values.sum(-1) if inputs.ndim > 2 else values


def occlusion(score: Callable, inputs: np.ndarray, *, patch: int | None = None) -> np.ndarray:
    """The mean drop of the score over the patches that hide a position."""
    space = inputs.shape[1:-1] or inputs.shape[1:]
    sides = [patch or (1 if inputs.ndim == 2 else max(1, side // 8)) for side in space]
    whole, drops, counts = array(score(inputs)), np.zeros((len(inputs), *space)), np.zeros(space)
    starts = [sorted({*range(0, all_ - side, max(1, side // 2)), all_ - side}) for all_, side in zip(space, sides)]
    for corner in itertools.product(*starts):
        where = tuple(slice(first, first + side) for first, side in zip(corner, sides))
        hidden = inputs.copy()
        hidden[(slice(None), *where)] = 0
        drops[(slice(None), *where)] += (whole - array(score(hidden))).reshape(-1, *(1,) * len(space))
        counts[where] += 1
    return drops / counts


ORACLES: dict[str, Callable] = {
    "gradient_x_input": gradient_x_input,
    "saliency": saliency,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}
