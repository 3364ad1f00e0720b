"""Difference of the maps of each method from those in float32: python -m benchmarks.precision --run runs/drawn-grid.

Prints a table of |m - m32| / |m32|: norms over all positions of an image, the median over the images.
"""

import argparse
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from keras_actmaps.training import runs

QUICK: dict[str, dict[str, Any]] = {"rise": {"samples": 200}, "lime": {"samples": 200}, "kernel_shap": {"samples": 200}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/drawn-grid")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--precision", nargs="+", default=["bfloat16"], choices=["bfloat16", "tf32"])
    arguments = parser.parse_args()
    run = runs.open_run(arguments.run)
    images = next(iter(run.data().test.unbatch().batch(arguments.images)))[0].numpy()
    probes = {precision: kam.Probe(run.model(), precision=precision) for precision in ("float32", *arguments.precision)}
    print(f"| method ({keras.backend.backend()}) | {' | '.join(arguments.precision)} |")
    print("| --- |" + " ---: |" * len(arguments.precision))
    for method in kam.METHODS:
        settings: dict[str, Any] = QUICK.get(method, {})
        maps = {name: kam.explain(probe, images, method, **settings).maps for name, probe in probes.items()}
        exact = maps.pop("float32")
        norms = np.maximum(np.linalg.norm(exact, axis=(1, 2)), np.finfo("float32").tiny)
        differences = [np.median(np.linalg.norm(other - exact, axis=(1, 2)) / norms) for other in maps.values()]
        print(f"| `{method}` | {' | '.join(f'{difference:.2%}' for difference in differences)} |", flush=True)


if __name__ == "__main__":
    main()
