"""How often a map has its maximum in the garment's cell: python -m benchmarks.grid_cam [--run runs/grid]."""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_actmaps import explain_dataset
from keras_actmaps.training import runs


def cells_of_maxima(maps: np.ndarray) -> np.ndarray:
    """The cell 0..3, by rows, that contains the maximum of each map of (N, H, W)."""
    row, column = np.unravel_index(maps.reshape(len(maps), -1).argmax(1), maps.shape[1:])
    return 2 * (2 * row // maps.shape[1]) + 2 * column // maps.shape[2]


def main() -> None:
    """Print the shares of all test images and of those that are classified correctly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="runs/grid")
    parser.add_argument("--method", default="cam")
    arguments = parser.parse_args()
    run = runs.open_run(arguments.run)
    model, test = run.model(), run.data().truth("test")
    all_hits, all_correct = [], []
    explanations = explain_dataset(model, test, arguments.method, targets="labels", batch_size=64)
    for explanation, (images, labels, truth) in zip(explanations, test.as_numpy_iterator()):
        all_hits.append(cells_of_maxima(explanation.maps) == truth["position"])
        all_correct.append(model.predict_on_batch(images).argmax(1) == labels)
    hits, correct = np.concatenate(all_hits), np.concatenate(all_correct)
    print(
        f"{arguments.method} of the true class: maximum in the garment's cell for {hits[correct].mean():.2%} of the "
        f"{correct.sum()} test images classified correctly, {hits.mean():.2%} of all {len(hits)}"
    )


if __name__ == "__main__":
    main()
