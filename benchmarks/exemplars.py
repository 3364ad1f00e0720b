"""Cost of finding exemplars: time relative to `model.predict` on the same images, and peak memory.

    python -m benchmarks.exemplars --run runs/cifar10 [--images 10000] [--repeats 5]

Memory is measured in separate processes, on a tenth of the images and on all of them.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from keras_actmaps.training import runs


def seconds(function: Callable[[], Any]) -> float:
    """The wall time of a call, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(traced: kam.Probe, model: keras.Model, stream: Iterable, repeats: int) -> None:
    """Print the times of both, alternating, after one round of each to compile."""
    passes = lambda: model.predict(stream, verbose=0), lambda: kam.exemplars(traced, stream)
    times = np.array([[seconds(run) for run in passes] for _ in range(1 + repeats)])[1:]
    ratios = times[:, 1] / times[:, 0]
    found = kam.exemplars(traced, stream)
    print(
        f"{len(found)} channels of {found.layer}, {traced.traces} trace(s): predict {np.median(times[:, 0]):.2f} s, "
        f"exemplars {np.median(times[:, 1]):.2f} s, ratio {np.median(ratios):.2f} "
        f"({ratios.min():.2f} to {ratios.max():.2f}, {repeats} times)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/cifar10")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--layer")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", action="store_true", help="one pass, and the peak memory of this process")
    arguments = parser.parse_args()
    run = runs.open_run(arguments.run)
    model, data = run.model(), run.data()
    traced = kam.Probe(model, arguments.layer)
    batch = run.record["data"]["batch_size"]
    stream = data.test.take(-(-arguments.images // batch))
    if not arguments.peak:
        compare(traced, model, stream, arguments.repeats)
        for images in (arguments.images // 10, arguments.images):
            again = [sys.executable, "-m", "benchmarks.exemplars", *sys.argv[1:], "--peak", "--images", str(images)]
            subprocess.run(again, check=True)
        return
    kam.exemplars(traced, stream)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.images:6} images: peak memory {peak:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
