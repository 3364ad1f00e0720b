"""Memory and compilations while a data set is explained: python -m benchmarks.stream [--images 10000]."""

import argparse
import os
import resource

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import keras_actmaps as kam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--method", default="gradcam")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    sizes = (min(64, arguments.images - start) for start in range(0, arguments.images, 64))
    batches = (random.random((size, 56, 56, 1), "float32") for size in sizes)
    probe = kam.Probe(kam.models.grid_cnn())
    seen = 0
    for explanation in kam.explain_dataset(probe, batches, arguments.method, batch_size=64):
        seen += len(explanation)
        if seen % 1024 == 0 or seen == arguments.images:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{seen:6} images: {probe.traces} trace(s), peak memory {peak:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
