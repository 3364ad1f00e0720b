"""explain.py explains an image file with a saved model on JAX and PyTorch where TensorFlow cannot be imported."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps import Explanation

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None
from keras_actmaps.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path):
    """A model and an image."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    model.save(tmp_path / "model.keras")
    cv2.imwrite(str(tmp_path / "image.png"), np.random.default_rng(0).integers(0, 256, (12, 16, 3), "uint8"))
    return tmp_path


@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_a_model_and_an_image_file(folder, framework):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-c", BLOCKED, *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ | {"KERAS_BACKEND": framework, "PYTHONPATH": str(ROOT)},
        )

    methods = ["--method", "gradcam,cam,feature_maps", "--boxes", "--target", "2"]
    done = command("explain", "--model", "model.keras", "--image", "image.png", *methods)
    assert (done.returncode, done.stderr) == (0, "")
    e = Explanation.load(folder / "outputs" / "cam.npz")
    assert framework in e.versions and "tensorflow" not in e.versions
    image = cv2.cvtColor(cv2.imread(str(folder / "image.png")), cv2.COLOR_BGR2RGB)[None] / 255
    logits = keras.saving.load_model(folder / "model.keras").predict(image, verbose=0)
    np.testing.assert_allclose(e.scores, logits[:, 2], rtol=1e-4, atol=1e-5)
    assert (folder / "outputs" / "feature_maps.png").exists()
    refused = command("train", "--dataset", "drawn-grid")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "TensorFlow" in refused.stderr
