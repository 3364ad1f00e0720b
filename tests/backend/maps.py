"""The maps of all methods on one network, by the framework Keras runs on.

python maps.py MODEL.keras IMAGES.npy MAPS.npz, with tests/ on PYTHONPATH
"""

import sys

import keras
import numpy as np
from helpers.settings import FOR_CONVNETS, QUICK

import keras_actmaps as kam


def all_maps(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """The maps of each method, and the scores."""
    found = {name: kam.explain(model, images, name, **QUICK.get(name, {})) for name in FOR_CONVNETS}
    return {"scores": found["saliency"].scores} | {name: explanation.maps for name, explanation in found.items()}


if __name__ == "__main__":
    path, images, output = sys.argv[1:]
    np.savez(output, **all_maps(keras.saving.load_model(path), np.load(images)))
