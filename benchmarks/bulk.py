"""Cost of explain_all: rate against explain_dataset, two workers, writing, memory, and time by number of images.

    python -m benchmarks.bulk                  # all of it, on 20,000 grid images
    python -m benchmarks.bulk --images 2000    # quicker

Rates of one process are of processor time, which other programs on the machine disturb less than they do the clock.
Those of several workers are of the clock, from the times of the shards, so that starting the workers does not count.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("gradcam", "saliency")
SHARD, BATCH = 512, 64
TURNS = 3
SIZES = (2000, 5000, 10000, 20000)


class Waiting:
    """Images of a memory map, each after 20 ms, as from a slow disk."""

    def __init__(self, path: str, count: int):
        self.path, self.count = path, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        time.sleep(0.02)
        return np.load(self.path, mmap_mode="r")[index]


def grids(path: Path, count: int) -> None:
    """Write grid images, real ones where the data is available, as a .npy file."""
    from keras_actmaps import data

    name = "grid" if data.sources.is_available(["mnist", "fashion_mnist"]) else "drawn-grid"
    found = [images for images, _ in data.load(name, limit=count).train.unbatch().batch(1000).as_numpy_iterator()]
    images = np.concatenate(found)
    np.save(path, np.concatenate([images] * -(-count // len(images)))[:count])
    print(f"{count:,} images of {name}")


def network() -> Any:
    """The network of the teaching grid, without training."""
    import keras

    from keras_actmaps import models

    keras.utils.set_random_seed(0)
    return models.grid_cnn()


def cpu() -> float:
    """Processor seconds of this process and its finished children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def both(path: str, method: str, count: int) -> dict[str, Any]:
    """Processor seconds per image of explain_dataset and of explain_all in this process, in turns; and of writing.

    The first turn of each, which compiles, does not count.
    """
    import keras_actmaps as kam
    from keras_actmaps.bulk import worker

    model, images = network(), memory_map(path, count)
    writing: list[float] = []
    seconds: dict[str, list[float]] = {"stream": [], "all": []}
    to_bytes = worker.to_bytes

    def timed(*arguments: Any) -> bytes:
        before = cpu()
        content = to_bytes(*arguments)
        writing.append(cpu() - before)
        return content

    worker.to_bytes = timed
    for _ in range(TURNS + 1):
        before = cpu()
        batches = (np.asarray(images[start : start + BATCH]) for start in range(0, count, BATCH))
        for _ in kam.explain_dataset(model, batches, method, batch_size=BATCH):
            pass
        seconds["stream"].append(cpu() - before)
        before = cpu()
        writing.clear()
        with tempfile.TemporaryDirectory() as out:
            kam.explain_all(model, images, out, method, engine="serial", shard=SHARD, batch_size=BATCH)
            size = sum(file.stat().st_size for file in Path(out).glob("shard-*.h5"))
        seconds["all"].append(cpu() - before)
    stream, all_ = (min(times[1:]) for times in seconds.values())  # what other programs add is never negative
    return {"stream": stream / count, "all": all_ / count, "writing": sum(writing) / all_, "bytes": size / count}


def serial(path: str, method: str, count: int) -> dict[str, Any]:
    """explain_all in this process: processor time and peak memory."""
    import keras_actmaps as kam

    model, images = network(), memory_map(path, count)
    with tempfile.TemporaryDirectory() as out:  # compiles
        kam.explain_all(model, memory_map(path, BATCH), out, method, engine="serial", shard=SHARD, batch_size=BATCH)
    before = cpu()
    with tempfile.TemporaryDirectory() as out:
        kam.explain_all(model, images, out, method, engine="serial", shard=SHARD, batch_size=BATCH)
    return {"total": cpu() - before, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def line(path: str, method: str, sizes: list[int]) -> dict[str, Any]:
    """Processor seconds of explain_all by number of images, in turns in this process, and their distance from a line.

    The line through 0 and the times, by least squares of the relative distances.
    """
    import keras_actmaps as kam

    model = network()
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(TURNS + 1):
        for size in sizes if turn else sizes[:1]:  # the first turn compiles
            before = cpu()
            with tempfile.TemporaryDirectory() as out:
                images = memory_map(path, size)
                kam.explain_all(model, images, out, method, engine="serial", shard=SHARD, batch_size=BATCH)
            seconds[size] += [cpu() - before] if turn else []
    times = np.array([min(found) for found in seconds.values()])
    rates = times / sizes
    slope = rates.sum() / (rates**2).sum()  # images per second
    return {"times": times.tolist(), "distance": float(np.abs(rates * slope - 1).max())}


def memory_map(path: str, count: int) -> np.memmap:
    """The first images of the file."""
    images = np.load(path, mmap_mode="r")
    return np.memmap(path, images.dtype, "r", images.offset, (count, *images.shape[1:]))


def pool(path: str, method: str, count: int, workers: int, waits: bool) -> dict[str, Any]:
    """explain_all by processes: images per second of the clock between the first shard and the last."""
    import keras_actmaps as kam

    source = Waiting(path, count) if waits else memory_map(path, count)
    shard = max(1, count // 40)
    with tempfile.TemporaryDirectory() as out:
        kam.explain_all(network(), source, out, method, workers=workers, shard=shard, batch_size=min(BATCH, shard))
        times = sorted(file.stat().st_mtime for file in Path(out).glob("shard-*.h5"))
    first = 2 * workers - 1  # until every worker has finished its first shard, which compiles
    return {"rate": shard * (len(times) - 1 - first) / (times[-1] - times[first])}


MEASURES = {"both": both, "line": line, "serial": serial, "pool": pool}


def measure(name: str, *arguments: Any) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bulk", "--measure", name, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(count: int, folder: Path) -> None:
    """All measurements, as lines of text."""
    path = folder / "grids.npy"
    grids(path, count)
    some = min(count, 5000)
    for method in METHODS:
        found = measure("both", str(path), method, min(count, 2048))
        print(
            f"{method}: explain_dataset {1 / found['stream']:,.0f}, explain_all {1 / found['all']:,.0f} images per "
            f"processor second (ratio {found['stream'] / found['all']:.2f}); {found['writing']:.1%} for the files; "
            f"{found['bytes']:,.0f} bytes per map"
        )
    for waits, images in ((False, some), (True, 400)):
        rates = [measure("pool", str(path), "gradcam", images, workers, waits)["rate"] for workers in (1, 2)]
        what = "with 20 ms of waiting" if waits else "without waiting"
        print(f"1 and 2 workers {what}: {rates[0]:,.1f} and {rates[1]:,.1f} images/s ({rates[1] / rates[0]:.2f})")
    sizes = [size for size in SIZES if size <= count]
    found = measure("line", str(path), "gradcam", sizes)
    times = ", ".join(f"{time_:.2f}" for time_ in found["times"])
    print(f"{sizes} images: {times} processor seconds, at most {found['distance']:.1%} from a line")
    for images in sizes:
        found = measure("serial", str(path), "gradcam", images)
        print(f"n = {images:,}: {found['total']:.1f} processor seconds, {found['memory']:,.0f} MB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, arguments = options.measure
        print(json.dumps(MEASURES[name](*json.loads(arguments))))
    else:
        temporary = Path(tempfile.mkdtemp())
        try:
            main(options.images, temporary)
        finally:
            shutil.rmtree(temporary)
