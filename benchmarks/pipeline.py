"""Images per second of a data pipeline alone, of the training step alone, and of both.

python -m benchmarks.pipeline [--dataset grid ...]
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_actmaps import data
from keras_actmaps.training import protocols

CACHED = 5_000  # the largest data set whose decoded images are cached


def rate(run: Callable[[], None], images: int) -> float:
    """Images per second of `run()`, which processes `images`, after one run to warm up."""
    run()
    started = time.perf_counter()
    run()
    return images / (time.perf_counter() - started)


def measure(name: str, batches: int) -> str:
    """The three rates of a data set, as one line."""
    protocol = protocols.find_protocol(name)
    loaded = data.load(name, batch_size=protocol.batch_size)
    model = protocols.new_model(protocol, None, loaded)
    images = batches * protocol.batch_size
    stream = iter(loaded.train.repeat())
    first = next(stream)

    def pipeline() -> None:
        for _ in range(batches):
            next(stream)

    def step() -> None:
        for _ in range(batches):
            model.train_on_batch(*first)

    def both() -> None:
        for _ in range(batches):
            model.train_on_batch(*next(stream))

    for _ in range(-(-min(loaded.info.counts["train"], CACHED) // protocol.batch_size)):  # fill the caches first
        next(stream)
    rates = [rate(run, images) for run in (pipeline, step, both)]
    return f"{name:12} pipeline {rates[0]:8.0f}   step {rates[1]:6.0f}   both {rates[2]:6.0f} images/s"


def main() -> None:
    """Print the rates of each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", nargs="+", default=["drawn-grid", "grid", "cifar10", "pets"])
    parser.add_argument("--batches", type=int, default=50)
    arguments = parser.parse_args()
    for name in arguments.dataset:
        print(measure(name, arguments.batches), flush=True)


if __name__ == "__main__":
    main()
