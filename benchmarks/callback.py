"""What a turn of ExplainCallback takes of a fit: python -m benchmarks.callback --run runs/grid [--method gradcam lrp].

Its time over that of a bare `kam.explain` of the same images, warm, one after the other, several times. A turn
explains, measures the energy on the object, and hands the maps to a thread that draws and writes while the fit goes on;
what that takes is told beside it. With --targets labels a turn also asks what is predicted for the images it draws.
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import keras_actmaps as kam
from keras_actmaps.callbacks.image_source import of_split
from keras_actmaps.training import runs


def seconds(run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(model, watched, method: str, targets, repeats: int) -> str:
    asked = watched.labels if targets == "labels" else targets
    with tempfile.TemporaryDirectory() as folder:
        callback = kam.ExplainCallback(watched, method, targets, output=folder, say=lambda line: None)
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)

        def bare():
            kam.explain(model, watched.images, method, asked)

        def turn():
            callback.on_epoch_end(len(callback.seconds), {})

        times = []
        for number in range(1 + repeats):
            pair = {}
            for run in (bare, turn) if number % 2 else (turn, bare):
                pair[run] = seconds(run)
                callback.wait()  # in a fit, an epoch lies between two turns
            times.append((pair[bare], pair[turn]))
        callback.on_train_end()
    times = np.array(times[1:])
    ratios = times[:, 1] / times[:, 0]
    bare, turn = np.median(times, axis=0) * 1000
    return (f"{method:20} explain {bare:8.1f} ms   turn {turn:8.1f} ms   ratio {np.median(ratios):.3f} "
            f"({ratios.min():.2f} to {ratios.max():.2f})   drawn beside the fit in "
            f"{callback.drawing / len(callback.seconds) * 1000:.0f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/grid")
    parser.add_argument("--method", nargs="+", default=["gradcam", "saliency", "lrp", "integrated_gradients"])
    parser.add_argument("--targets", choices=["labels"])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=21)
    arguments = parser.parse_args()
    run = runs.open_run(arguments.run)
    model, watched = run.model(), of_split(run.data(), end=arguments.images)
    print(f"{len(watched.images)} images of {watched.images.shape[1:]}, {arguments.repeats} times")
    for method in arguments.method:
        print(measure(model, watched, method, arguments.targets, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
