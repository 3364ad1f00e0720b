"""Speed of gradient ascent for all classes in one batch, relative to the same number of plain gradient passes.

    python -m benchmarks.ascent [--run runs/grid]

A ratio of 1 is the speed of the plain passes; the target is 0.8.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from keras_actmaps import backend
from keras_actmaps.training import runs


def plain_passes(model: keras.Model, count: int, steps: int) -> Callable[[], np.ndarray]:
    """A function that computes `steps` times the gradient of the logits at a batch of images, one class per image."""
    classes = np.arange(count, dtype="int32")[:, None]

    def score(images: Any) -> tuple[Any, None]:
        return keras.ops.take_along_axis(model(images, training=False), classes, axis=1)[:, 0], None

    program = backend.CompiledFunction(lambda images: backend.gradients(score, [images])[0][0], model.weights)
    images = keras.ops.convert_to_tensor(np.random.default_rng(0).random((count, *model.input_shape[1:]), "float32"))

    def run() -> np.ndarray:
        for _ in range(steps):
            gradients = program(images)
        return backend.to_numpy(gradients)

    return run


def seconds(function: Callable[[], Any]) -> float:
    """The wall time of a call, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="a run folder (default: the untrained network of the grid)")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = runs.open_run(arguments.run).model() if arguments.run else kam.models.grid_cnn()
    traced, classes = kam.Probe(model), model.output_shape[-1]

    def ascent() -> np.ndarray:
        return kam.ascent(traced, "all", steps=arguments.steps)

    passes = plain_passes(model, classes, arguments.steps)
    ascent(), passes()
    times = np.array([(seconds(ascent), seconds(passes)) for _ in range(arguments.rounds)])
    own, plain = np.median(times, axis=0)
    print(
        f"{keras.backend.backend()}, {model.name}: {arguments.steps} steps for {classes} classes in {own:.2f} s, as "
        f"many plain passes in {plain:.2f} s: {np.median(times[:, 1] / times[:, 0]):.2f} of their speed (median of "
        f"{arguments.rounds})"
    )


if __name__ == "__main__":
    main()
