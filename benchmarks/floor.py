"""Methods beside the bare passes that they are made of: python -m benchmarks.floor MobileNetV2.

Every figure is the time of a method divided by that of its passes as a compiled function of the framework, which folds
nothing; both are the least of `--repeats` runs that alternate in one process.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_actmaps as kam
from benchmarks.bare import passes
from keras_actmaps.backend import to_numpy

CASES: dict[str, tuple[str, int, dict[str, Any]]] = {  # method: the passes it is made of, their number, and settings
    "gradcam": ("forward", 1, {}),
    "saliency": ("both", 1, {}),
    "lrp": ("both", 1, {}),
    "integrated_gradients": ("both", 10, {"steps": 10}),
    "smoothgrad": ("both", 10, {"samples": 10}),
    "rise": ("forward", 64, {"samples": 64}),
    "occlusion": ("forward", 50, {"patch": 56, "stride": 28}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a function of keras.applications, such as ResNet50")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--methods", nargs="*", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    model = getattr(keras.applications, arguments.model)(
        weights=None, input_shape=(224, 224, 3), classifier_activation=None
    )
    images = np.random.default_rng(0).random((arguments.images, 224, 224, 3), "float32")
    bare = dict(zip(("forward", "both"), passes(model, "float32", None)))
    probe = kam.Probe(model)
    warnings.simplefilter("ignore")  # random weights
    for method in arguments.methods:
        kind, count, settings = CASES[method]
        seconds = least(
            arguments.repeats,
            lambda kind=kind, count=count: [to_numpy(bare[kind](images)) for _ in range(count)],
            lambda method=method, settings=settings: kam.explain(probe, images, method, targets=3, **settings),
        )
        print(f"{method}: {seconds[1] / seconds[0]:.2f} of {count} x {kind}, {seconds[0]:.3f} s")


def least(repeats: int, *functions: Callable) -> list[float]:
    """The least seconds of each function, called in turn after a first call."""
    best = [np.inf] * len(functions)
    for repeat in range(repeats + 1):
        for number, function in enumerate(functions):
            start = time.perf_counter()
            function()
            if repeat:
                best[number] = min(best[number], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
