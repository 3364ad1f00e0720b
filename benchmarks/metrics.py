"""Cost of deletion and insertion: python -m benchmarks.metrics --run runs/grid [--images 500] [--repeats 5].

The time of both divided by that of the forward passes they need, 2 (steps + 1) per image, of the same compiled program
on prepared images, measured alternately.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import keras_actmaps as kam
from keras_actmaps import backend
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.metrics._inputs import target_scores
from keras_actmaps.training import runs

SIZE = 32


def seconds(run: Callable[[], None]) -> float:
    """The wall time of a call, in seconds."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def first_images(stream: Any, count: int) -> np.ndarray:
    """The first images of a stream of (images, ...)."""
    found = []
    for images, *_ in stream.as_numpy_iterator():
        found.append(images)
        if sum(map(len, found)) >= count:
            break
    return np.concatenate(found)[:count]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/grid")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    run = runs.open_run(arguments.run)
    probe, images = kam.Probe(run.model()), first_images(run.data().test, arguments.images)
    e = kam.explain(probe, images, "gradcam")
    targets = probe.validate_targets(e.targets, len(images))
    batches = [batch for batch, _ in padded_batches([images, targets], SIZE)]
    needed = -(-2 * (arguments.steps + 1) * len(images) // SIZE)

    context = RunContext(SIZE, SIZE)

    def passes() -> None:
        for number in range(needed):
            batch = batches[number % len(batches)]
            backend.to_numpy(probe.run(target_scores, *batch, context=context, score="softmax")[0])

    def both() -> None:
        for metric in (kam.metrics.deletion, kam.metrics.insertion):
            metric(probe, images, e, steps=arguments.steps, batch_size=SIZE)

    times = np.array([[seconds(run) for run in (passes, both)] for _ in range(1 + arguments.repeats)])[1:]
    ratios = times[:, 1] / times[:, 0]
    print(
        f"{len(images)} images of {images.shape[1:]}, {arguments.steps} steps: forward passes "
        f"{np.median(times[:, 0]):.2f} s, deletion and insertion {np.median(times[:, 1]):.2f} s, ratio "
        f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}, {arguments.repeats} times)"
    )


if __name__ == "__main__":
    main()
