"""Measure the time of a snapshot of ExplainCallback within a fit: python -m benchmarks.callback --run runs/grid

Its time is compared with that of `kam.explain` for the same images, warm, alternating, several times. A snapshot
explains, measures the energy in the mask, and passes the maps to a thread that draws and writes them while training
continues; the time of that thread is printed as well. With --targets labels, a snapshot also predicts the classes of
the images that it draws.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from keras_actmaps.callbacks.image_source import ImageSource, split_source
from keras_actmaps.training import runs


def seconds(function: Callable[[], object]) -> float:
    """The time of a call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(model: keras.Model, source: ImageSource, method: str, targets: str | None, repeats: int) -> str:
    """The times of a method as one line."""
    with tempfile.TemporaryDirectory() as folder:
        callback = kam.ExplainCallback(source, method, targets, output=folder, say=lambda line: None)
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)

        def explain() -> None:
            kam.explain(model, source.images, method, source.labels if targets == "labels" else targets)

        def snapshot() -> None:
            callback.on_epoch_end(len(callback.seconds), {})

        times = []
        for number in range(1 + repeats):
            pair = {}
            for function in (explain, snapshot) if number % 2 else (snapshot, explain):
                pair[function] = seconds(function)
                callback.wait()  # in a fit, an epoch lies between two snapshots
            times.append((pair[explain], pair[snapshot]))
        callback.on_train_end()
    warm = np.array(times[1:])
    ratios = warm[:, 1] / warm[:, 0]
    explaining, taking = np.median(warm, axis=0) * 1000
    drawing = callback.drawing / len(callback.seconds) * 1000
    return (
        f"{method:20} explain {explaining:8.1f} ms   snapshot {taking:8.1f} ms   ratio {np.median(ratios):.3f} "
        f"({ratios.min():.2f} to {ratios.max():.2f})   drawn in the background in {drawing:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/grid")
    parser.add_argument("--method", nargs="+", default=["gradcam", "saliency", "lrp", "integrated_gradients"])
    parser.add_argument("--targets", choices=["labels"])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=21)
    arguments = parser.parse_args()
    run = runs.open_run(arguments.run)
    model, source = run.model(), split_source(run.data(), end=arguments.images)
    print(f"{len(source.images)} images of {source.images.shape[1:]}, {arguments.repeats} times")
    for method in arguments.method:
        print(measure(model, source, method, arguments.targets, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
