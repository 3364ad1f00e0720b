"""Draw the pictures of the README and docs/gallery.md from a photograph that Matplotlib installs.

python -m docs.make_gallery
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib
from PIL import Image

import keras_actmaps as kam

FOLDER = Path(__file__).parent / "pictures"
# Few samples and steps, which is enough for a picture of a network as simple as this one.
SETTINGS = {
    **{name: {"samples": 10} for name in ("smoothgrad", "squaregrad", "vargrad", "expected_gradients")},
    **{name: {"steps": 16} for name in ("integrated_gradients", "blur_ig", "xrai")},
    **{name: {"samples": 200} for name in ("lime", "kernel_shap", "hsic")},
    "rise": {"samples": 300},
    "occlusion": {"patch": 16, "stride": 8},
    "sobol": {"designs": 4},
    "extremal_perturbation": {"steps": 30},
}


def main() -> None:
    matplotlib.use("agg")
    model, images = kam.models.example()
    kam.render.save(kam.explain(model, images, "gradcam").show(images), FOLDER / "example.png")
    fitting = [name for name, reason in kam.supported(model).items() if not reason]
    explanations = [kam.explain(model, images, name, targets=0, **SETTINGS.get(name, {})) for name in fitting]
    kam.render.save(kam.render.contact_sheet(explanations, images, ["red"]), FOLDER / "gallery.png")
    sheet = Image.open(FOLDER / "gallery.png").convert("RGB")
    sheet.thumbnail((1500, 1500))
    sheet.quantize(128).save(FOLDER / "gallery.png")  # a seventh of the size


if __name__ == "__main__":
    main()
