"""Generated calls of `explain`: valid and odd inputs, targets, layers and settings, on the models of zoo.py."""

import traceback
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from hypothesis import strategies as st
from keras import ops, tree

import keras_actmaps as kam
from helpers.settings import QUICK
from helpers.zoo import KINDS, example
from keras_actmaps.core.settings import Ge, Gt, Le, Lt, Setting
from keras_actmaps.methods import Method

PACKAGE = str(Path(kam.__file__).parent)
SLOW = {"TimeDistributed", "int8"}
ODD = (
    *(None, True, False, 0, -1, 2.5, 10**7, 10**30, 10**400, float("nan"), float("inf"), -0.0, 1j, 3e38),
    *("", "false", "true", "nonsense", "zero", "two\nlines", b"bytes", (), [], {}, [1, 2, 3, 4], [[1], [2, 3]]),
    *({"conv": "zero"}, {3: 4}, np.zeros(0), np.zeros((5, 2)), np.full((8, 12, 3), np.nan), np.float32(0.5)),
    *(np.int64(2), np.bool_(True), np.array(3), object(), len, lambda *_: "nonsense", ("a", None), range(3)),
)


@dataclass(frozen=True)
class Call:
    """One call of `explain`; `is_valid` says nothing about whether it succeeds."""

    kind: str
    method: str
    inputs: str
    targets: str
    options: dict[str, Any]
    settings: dict[str, Any]


INPUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "as they are": lambda x: x,
    "float64": lambda x: x.astype("float64"),
    "float16": lambda x: x.astype("float16"),
    "bytes": lambda x: (255 * np.abs(x)).clip(0, 255).astype("uint8"),
    "integers": lambda x: np.rint(3 * x).astype("int64"),
    "truth values": lambda x: x > x.mean(),
    "a list": lambda x: x.tolist(),
    "a tensor": lambda x: ops.convert_to_tensor(x),
    "one": lambda x: x[:1],
    "one without an axis": lambda x: x[0],
    "none": lambda x: x[:0],
    "zeros": np.zeros_like,
    "huge": lambda x: x * np.float32(1e38),
    "tiny": lambda x: x * np.float32(1e-38),
    "too large for float32": lambda x: x.astype("float64") * 1e300,
    "NaN": lambda x: np.where(np.arange(len(x)).reshape(-1, *(1,) * (x.ndim - 1)) == 1, np.nan, x),
    "infinite": lambda x: np.full_like(x, np.inf),
    "complex": lambda x: x + 1j,
    "text": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "dates": lambda x: np.zeros(x.shape, "datetime64[s]"),
    "other sides": lambda x: np.concatenate([x, x], axis=1),
    "another axis": lambda x: x[..., None],
    "moved channels": lambda x: np.moveaxis(x, -1, 1),
    "ragged": lambda x: [x[0], x[1][:1]],
    "a mapping": lambda x: {"a": x},
    "not contiguous": lambda x: np.asfortranarray(x)[::-1],
    "read only": lambda x: np.broadcast_to(x[:1], x.shape),
    "nothing": lambda x: None,
    "a word": lambda x: "images",
}


def mean_of_all(outputs: Any) -> Any:
    """The mean of each output, summed."""
    return sum(ops.mean(output, axis=tuple(range(1, len(output.shape)))) for output in tree.flatten(outputs))


TARGETS: dict[str, Callable[[int], Any]] = {
    "predicted": lambda n: None,
    "0": lambda n: 0,
    "1": lambda n: 1,
    "NumPy's 1": lambda n: np.int64(1),
    "too large": lambda n: 99,
    "huge": lambda n: 10**30,
    "-1": lambda n: -1,
    "-7": lambda n: -7,
    "a fraction": lambda n: 1.5,
    "NaN": lambda n: float("nan"),
    "true": lambda n: True,
    "one each": lambda n: np.arange(n) % 2,
    "a list": lambda n: [0] * n,
    "unsigned": lambda n: np.zeros(n, "uint8"),
    "floats": lambda n: np.zeros(n),
    "too many": lambda n: [0] * (n + 1),
    "two each": lambda n: [[0, 1]] * n,
    "column": lambda n: np.zeros((n, 1), int),
    "one-hot": lambda n: np.eye(3)[np.arange(n) % 3],
    "three axes": lambda n: np.zeros((n, 1, 1), int),
    "empty": lambda n: [],
    "all": lambda n: "all",
    "a word": lambda n: "cat",
    "a dict": lambda n: {0: 1},
    "an object": lambda n: object(),
    "a function": lambda n: mean_of_all,
    "a function of a wrong shape": lambda n: lambda outputs: tree.flatten(outputs)[0],
    "a function without a result": lambda n: lambda outputs: None,
    "a function with a number": lambda n: lambda outputs: 1.0,
    "a function with NaN": lambda n: lambda outputs: tree.flatten(outputs)[0].reshape(n, -1)[:, 0] * float("nan"),
    "a class": lambda n: kam.targets.Class(1),
    "a missing class": lambda n: kam.targets.Class(9),
    "a difference": lambda n: kam.targets.Difference(1, 0),
    "a negative": lambda n: kam.targets.Negative(1),
    "an output": lambda n: kam.targets.Output(None, 0),
    "a missing output": lambda n: kam.targets.Output("none", 0),
    "a mean": lambda n: kam.targets.Mean(),
    "a similarity": lambda n: kam.targets.Similarity([1.0, 0.0, 2.0]),
}  # fmt: skip
OPTIONS: dict[str, tuple] = {
    "layer": (None, 0, 1, -1, 99, "conv2d", "nothing", "", ["conv2d"], [], 1.5, None, b"x", object()),
    "batch_size": (1, 2, 7, 10**6, 0, -1, 1.5, "2", None, True, 10**30, np.int64(2)),
    "precision": (None, "float32", "tf32", "bfloat16", "float16", 32, ""),
    "xla": (None, False, "no", 3),
}


def values(annotation: Any) -> st.SearchStrategy:
    """Values that an annotation of a setting allows, small ones for counts."""
    origin, items = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounded(items[0], items[1:])
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, items))
    if origin is Literal:
        return st.sampled_from(items)
    if origin in (tuple, list):
        return st.lists(values(items[0]), min_size=1, max_size=3).map(origin)
    simple = {
        bool: st.booleans(),
        int: st.integers(0, 6),
        float: st.floats(-3, 3, width=32),
        str: st.sampled_from(["saliency", "gradient_x_input", "gradcam", "lime", "nothing"]),
        np.ndarray: st.sampled_from([np.zeros(()), np.ones(3), np.zeros((8, 12, 3)), np.ones((8, 12), int)]),
        type(None): st.none(),
        Method: st.sampled_from(list(kam.METHODS.values())),
    }
    return simple.get(annotation, st.sampled_from(ODD))


def _bounded(annotation: Any, bounds: tuple) -> st.SearchStrategy:
    """Values within bounds, near the lower one."""
    low = max((b.value for b in bounds if isinstance(b, (Ge, Gt))), default=None)
    high = min((b.value for b in bounds if isinstance(b, (Le, Lt))), default=None)
    if annotation is int and low is not None:
        return st.integers(int(low), int(low) + 6)
    if annotation is float and low is not None:
        return st.floats(low, low + 2 if high is None else high, width=32)
    return values(annotation)


def setting(one: Setting) -> st.SearchStrategy:
    """Allowed values, the default, and odd ones."""
    return st.one_of(*[values(one.annotation)] * 4, st.sampled_from(ODD))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A call whose arguments are usual but for one or two of them."""
    kind = draw(st.sampled_from([name for name in KINDS if name not in SLOW]))
    method = draw(st.sampled_from(list(kam.METHODS)))
    parts = ["settings", "inputs", "targets", *OPTIONS, "unknown setting"]
    odd = draw(st.lists(st.sampled_from(["settings", "inputs", "targets", *parts]), max_size=2))
    known, own = kam.METHODS[method].settings, {}
    if known and "settings" in odd:
        names = draw(st.lists(st.sampled_from(list(known)), min_size=1, max_size=2, unique=True))
        own = {name: draw(setting(known[name])) for name in names}
    if "unknown setting" in odd:
        own["unknown"] = 3
    options = {name: draw(st.sampled_from(choices)) for name, choices in OPTIONS.items() if name in odd}
    inputs = draw(st.sampled_from(list(INPUTS))) if "inputs" in odd else "as they are"
    targets = draw(st.sampled_from(list(TARGETS))) if "targets" in odd else "own"
    return Call(kind, method, inputs, targets, options, own)


def run(call: Call) -> str:
    """Make a call: "map" for finite maps of the right shape, "error" for an error of one sentence; else it raises."""
    model, inputs, own = example(call.kind)
    try:
        inputs = tree.map_structure(INPUTS[call.inputs], inputs)
    except Exception:
        return "no such input"
    count = 1 if call.inputs == "one" else 3
    targets = own if call.targets == "own" else TARGETS[call.targets](count)
    settings = QUICK.get(call.method, {}) | ({"patch": None} if call.method == "occlusion" else {}) | call.settings
    try:
        with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
            warnings.simplefilter("ignore")
            e = kam.explain(model, inputs, call.method, targets, **call.options, **settings)
    except (ValueError, TypeError, ImportError) as error:
        _check_error(error)
        return "error"
    for maps in tree.flatten(e.maps):
        assert len(maps) == count and np.isfinite(maps).all() and maps.size
    assert np.isfinite(e.scores).all() and len(e.scores) == count
    return "map"


def _check_error(error: Exception) -> None:
    """An error that this package raises, in one sentence."""
    message, frame = str(error), traceback.extract_tb(error.__traceback__)[-1]
    raised = frame.filename.startswith(PACKAGE) and (frame.line or "").startswith("raise")
    assert raised, f"raised by {frame.filename}, line {frame.lineno}: {message}"
    assert message and "\n" not in message and len(message) < 700, message
