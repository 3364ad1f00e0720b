"""Draw the pictures of the README and docs/gallery.md from a photograph that Matplotlib installs.

python -m docs.make_gallery
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib

import keras_actmaps as kam

FOLDER = Path(__file__).parent / "pictures"
FEW = {"samples": 500}  # enough for a picture
SETTINGS = {"rise": FEW, "lime": FEW, "kernel_shap": FEW, "expected_gradients": {"samples": 50}}


def main() -> None:
    matplotlib.use("agg")
    model, images = kam.models.example()
    kam.render.save(kam.explain(model, images, "gradcam").show(images), FOLDER / "example.png")
    fitting = [name for name, reason in kam.supported(model).items() if not reason]
    explanations = [kam.explain(model, images, name, targets=0, **SETTINGS.get(name, {})) for name in fitting]
    kam.render.save(kam.render.contact_sheet(explanations, images, ["red"]), FOLDER / "gallery.png")


if __name__ == "__main__":
    main()
