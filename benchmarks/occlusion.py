"""Time of incremental over complete occlusion: python -m benchmarks.occlusion [--networks grid vgg16] [--places 24].

Both score one image with the same patches filled, a sample of those of a map, in turns. The time of a map is that of
the unchanged image and, for all patches, that of the sample; ratios are medians. Weights are random. The error is the
largest difference of scores over the largest score.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_actmaps as kam
from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.window_plan import WindowPlan
from keras_actmaps.core.window_run import run_unchanged
from keras_actmaps.core.windows import Windows
from keras_actmaps.methods._windows import patch_scores, plan_for
from keras_actmaps.methods.occlusion import complete_scores, windows
from keras_actmaps.models.teaching import grid_cnn, pets_cnn

NETWORKS: dict[str, tuple[Callable[[], keras.Model], dict]] = {
    "grid": (grid_cnn, {}),
    "pets": (pets_cnn, {}),
    **{
        name.lower(): (lambda name=name: getattr(keras.applications, name)(weights=None), {"patch": 16, "stride": 8})
        for name in ("VGG16", "ResNet50", "MobileNetV2", "DenseNet121")
    },
}


def sampled(plan: WindowPlan, rows: np.ndarray) -> WindowPlan:
    """The plan for some of its places, with windows of the same size."""
    return replace(plan, windows={slot: Windows(one.starts[rows], one.sides) for slot, one in plan.windows.items()})


def seconds(run: Callable[[], Any]) -> float:
    """The wall time of a call, in seconds."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(name: str, places: int, repeats: int, batch_size: int) -> str:
    """A row of the table."""
    build, settings = NETWORKS[name]
    probe = kam.Probe(build())
    image = np.random.default_rng(0).random((1, *probe.input_shape[1:]), "float32")
    patches, targets, context = windows(image, **settings), np.zeros(1, "int32"), RunContext(batch_size, 1)
    plan = plan_for(probe, patches)
    rows = np.unique(np.linspace(0, len(patches) - 1, places).astype(int))
    part, some = sampled(plan, rows), [patches[row] for row in rows]
    found: dict[str, Any] = {}

    def unchanged() -> None:
        to_numpy(probe.run(run_unchanged, image, targets, context=context, plan=part)[2])

    def incremental() -> None:
        found["incremental"] = patch_scores(probe, image, targets, part, "zero", context)

    def complete() -> None:
        found["complete"] = complete_scores(probe, image, targets, some, "zero", context)

    runs = (unchanged, incremental, complete)
    times = np.array([[seconds(run) for run in runs] for _ in range(1 + repeats)])[1:]
    once, both, plain = times.T
    each = np.maximum(both - once, 0) / len(rows)
    ratios = (once + each * len(patches)) / (plain / (1 + len(rows)) * (1 + len(patches)))
    error = np.abs(found["incremental"] - found["complete"]).max() / np.abs(found["complete"]).max()
    return (
        f"| {name} | {len(patches)} | {plan.all_multiply_adds / plan.multiply_adds:.1f} | {plan.share:.2f} "
        f"| {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}) | {error:.0e} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--places", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    print(f"Keras on {keras.backend.backend()}, batches of {arguments.batch}, {arguments.places} places")
    print("| network | patches | fewer multiply-adds | estimated time | time over complete passes | error |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in arguments.networks:
        print(measure(name, arguments.places, arguments.repeats, arguments.batch), flush=True)


if __name__ == "__main__":
    main()
