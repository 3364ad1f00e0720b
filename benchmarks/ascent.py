"""Gradient ascent for all classes in one batch, against as many bare forward-backward passes of the same batch:
python -m benchmarks.ascent [--run runs/grid]. A ratio of 1 is as fast as these; 0.8 is asked for."""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from keras_actmaps import backend
from keras_actmaps.training import runs


def bare_passes(model, count: int, steps: int):
    """`steps` times the gradient of the classes' logits at a batch of `count` images, one class an image."""
    classes = np.arange(count, dtype="int32")[:, None]

    def score(images):
        return keras.ops.take_along_axis(model(images, training=False), classes, axis=1)[:, 0], None

    program = backend.CompiledFunction(lambda images: backend.gradients(score, [images])[0][0], model.weights)
    images = keras.ops.convert_to_tensor(np.random.default_rng(0).random((count, *model.input_shape[1:]), "float32"))

    def run():
        for _ in range(steps):
            gradients = program(images)
        return backend.to_numpy(gradients)

    return run


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="a run folder (default: the untrained network of the grid)")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = runs.open_run(arguments.run).model() if arguments.run else kam.models.grid_cnn()
    probe = kam.Probe(model)
    climb = lambda: kam.ascent(probe, "all", steps=arguments.steps)  # noqa: E731
    bare = bare_passes(model, model.output_shape[-1], arguments.steps)
    climb(), bare()
    pairs = np.array([(seconds(climb), seconds(bare)) for _ in range(arguments.rounds)])
    took, passes = np.median(pairs, axis=0)
    print(f"{keras.backend.backend()}, {model.name}: {arguments.steps} steps for {model.output_shape[-1]} classes in "
          f"{took:.2f} s, as many bare passes in {passes:.2f} s: {np.median(pairs[:, 1] / pairs[:, 0]):.2f} of their "
          f"speed (median of {arguments.rounds})")  # fmt: skip


if __name__ == "__main__":
    main()
