"""Maps of all methods on one network, on the backend of Keras: python maps.py MODEL.keras IMAGES.npy MAPS.npz."""

import sys

import keras
import numpy as np

import keras_actmaps as kam

SETTINGS = {  # for speed; random numbers are drawn in NumPy, so that they are the same on each backend
    "smoothgrad": {"samples": 4},
    "squaregrad": {"samples": 4},
    "vargrad": {"samples": 4},
    "integrated_gradients": {"steps": 4},
    "expected_gradients": {"samples": 4},
    "blur_ig": {"steps": 4},
    "occlusion": {"patch": 6},
    "rise": {"samples": 12, "cells": 3},
    "lime": {"samples": 24, "cells": 3},
    "kernel_shap": {"samples": 24, "cells": 3},
    "extremal_perturbation": {"steps": 6, "cells": 4},
}


def all_maps(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """The maps of each method, and the scores."""
    found = {name: kam.explain(model, images, name, **SETTINGS.get(name, {})) for name in kam.METHODS}
    return {"scores": found["saliency"].scores} | {name: explanation.maps for name, explanation in found.items()}


if __name__ == "__main__":
    path, images, output = sys.argv[1:]
    np.savez(output, **all_maps(keras.saving.load_model(path), np.load(images)))
