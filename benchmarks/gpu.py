"""Images per second of methods and of the plain passes of the same network, in one framework and one run:

    KERAS_BACKEND=tensorflow|jax|torch python -m benchmarks.gpu [--batch 64 256] [--precision float32 tf32 bfloat16]

It runs on a GPU if there is one, else on the CPU, and prints which. "passes" is the time of a method relative to
that of the forward and backward passes that it needs. The last column is the rate of multiplications and additions
relative to that of large matrix products, measured in the same run.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from benchmarks.bare import passes
from keras_actmaps import backend
from keras_actmaps.core.plain_layers import KERNEL_LAYERS

OPERATIONS = 2 * 4.09e9  # of one forward pass of ResNet50 at 224, multiplications and additions
METHODS: dict[str, tuple[dict, tuple[int, int]]] = {  # settings, and passes per image: (forward, forward and backward)
    "gradcam": ({}, (1, 0)),
    "saliency": ({}, (0, 1)),
    "integrated_gradients": ({"steps": 32}, (1, 32)),
    "lrp": ({}, (0, 1)),
    "occlusion": ({"patch": 28, "stride": 28}, (65, 0)),
}


def device() -> str:
    """The name of the GPU, or "no GPU" and the processor."""
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "a CPU")
    return f"no GPU; {os.cpu_count()} cores of {model}"


def matrix_rate(precision: str, xla: bool | None, on_gpu: bool) -> float:
    """Multiplications and additions per second in products of large matrices."""
    side = 8192 if on_gpu else 2048
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    matrix = keras.ops.cast(np.random.default_rng(0).normal(size=(side, side)) / side**0.5, dtype)

    def chain(matrix: Any) -> Any:
        product = matrix
        for _ in range(4):
            product = keras.ops.matmul(product, matrix)
        return keras.ops.cast(product[0, 0], "float32")

    program = backend.CompiledFunction(chain, (), precision, xla)
    return 4 * 2 * side**3 / min(seconds(partial(program, matrix)) for _ in range(4))


def seconds(run: Callable[[], Any]) -> float:
    """The time until the result is on the host."""
    started = time.perf_counter()
    result = run()
    backend.to_numpy(result.maps if isinstance(result, kam.Explanation) else result)
    return time.perf_counter() - started


def measure(
    model: keras.Model,
    batch: int,
    precision: str,
    xla: bool | None,
    names: Iterable[str],
    repeats: int,
    rate: float,
) -> None:
    """Print the rows of the table for one batch size and precision."""
    images = np.random.default_rng(0).normal(size=(batch, *model.input_shape[1:])).astype("float32")
    probe = kam.Probe(model, precision=precision, xla=xla)
    lower = keras.models.clone_model(model, clone_function=in_bfloat16) if precision == "bfloat16" else model
    forward, both = passes(lower, precision, xla)
    runs: dict[str, Callable] = {"forward": partial(forward, images), "forward and backward": partial(both, images)}
    runs |= {name: partial(kam.explain, probe, images, name, batch_size=batch, **METHODS[name][0]) for name in names}
    for run in runs.values():
        seconds(run)
    rounds = [{name: seconds(run) for name, run in runs.items()} for _ in range(repeats)]
    for name in runs:
        took = statistics.median(times[name] for times in rounds)
        line = f"| {batch} | {precision} | {'default' if xla is None else xla} | {name} | {batch / took:.2f} |"
        if name in METHODS:
            ahead, back = METHODS[name][1]
            ratios = [r[name] / (ahead * r["forward"] + back * r["forward and backward"]) for r in rounds]
            print(f"{line} {statistics.median(ratios):.2f} | |", flush=True)
        else:
            work = OPERATIONS * (1 if name == "forward" else 2) * batch * (model.input_shape[1] / 224) ** 2
            print(f"{line} | {work / took / rate:.0%} |", flush=True)


def in_bfloat16(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A copy of a layer that computes in bfloat16 if it has a kernel."""
    config = layer.get_config()
    if isinstance(layer, KERNEL_LAYERS):
        config["dtype"] = "mixed_bfloat16"
    return type(layer).from_config(config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", nargs="+", type=int, help="default: 64, 128, 256 on a GPU, 16 on a CPU")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--precision", nargs="+", help="default: all three on a GPU, float32 on a CPU")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    chip, on_gpu = device(), not device().startswith("no GPU")
    print(f"{time.strftime('%Y-%m-%d')}, {chip}, Keras {keras.__version__} on {keras.backend.backend()}")
    print("| batch | precision | XLA | run | images/s | passes | relative to matrix products |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    model = keras.applications.ResNet50(
        weights=None, input_shape=(arguments.side, arguments.side, 3), classifier_activation=None
    )
    switches = [True, False] if on_gpu and keras.backend.backend() == "tensorflow" else [None]
    for precision in arguments.precision or (backend.PRECISIONS if on_gpu else ["float32"]):
        for xla in switches:
            rate = matrix_rate(precision, xla, on_gpu)
            print(f"| | {precision} | {xla} | matrix products | {rate / 1e12:.2f} TFLOP/s | | |", flush=True)
            for batch in arguments.batch or ([64, 128, 256] if on_gpu else [16]):
                measure(model, batch, precision, xla, arguments.methods, arguments.repeats, rate)


if __name__ == "__main__":
    main()
