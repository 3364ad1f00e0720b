"""Measure the errors of tf-explain 0.3.1 on it and on keras_actmaps.tf_explain: python -m benchmarks.tf_explain"""

import argparse
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tf_explain as original
from keras import layers

import keras_actmaps as kam
from keras_actmaps import tf_explain as ours
from keras_actmaps.cli.tf_explain import record_maps
from keras_actmaps.core.resize import resize
from keras_actmaps.core.types import Array
from keras_actmaps.training import runs

SHAPE = (12, 16, 3)


def network(activation: str | None = "softmax", certainty: float = 1.0) -> keras.Model:
    """Two convolutions with seeded weights, global average pooling, and a head whose logits `certainty` multiplies."""
    images = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(images)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(images, layers.Dense(4, activation=activation, name="head")(x))
    random = np.random.default_rng(0)
    for weight in model.weights:
        inputs = np.prod(weight.shape[:-1])
        weight.assign(random.normal(0, np.sqrt(2 / inputs) if weight.ndim > 1 else 0.1, weight.shape))
    for weight in model.weights[-2:]:
        weight.assign(certainty * weight)
    return model


def corner(height: int, width: int) -> keras.Model:
    """Two scores: the mean of the 4 x 4 pixels at the top right, and 0."""
    images = keras.Input((height, width, 3))
    square = layers.Cropping2D(((0, height - 4), (width - 4, 0)))(images)
    model = keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(square)))
    model.layers[-1].set_weights([np.array([[1, 0]] * 3) / 3, np.zeros(2)])
    return model


def photographs(count: int = 2, highest: float = 255) -> Array:
    """Noise with values from 0 to `highest`, (N, 12, 16, 3)."""
    return np.rint(np.random.default_rng(1).random((count, *SHAPE)) * 255).astype("float32") * np.float32(highest / 255)


def raw_maps(package: ModuleType, explainer: str, *arguments: Any, **settings: Any) -> Array:
    """The maps (N, h, w) that an explainer draws."""
    explain, maps = getattr(package.core, explainer)().explain, list[Array]()
    with record_maps(sys.modules[explain.__module__], maps), np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with redirect_stdout(io.StringIO()):  # without the progress of `predict`
            explain(*arguments, **settings)
    return np.concatenate(maps)


def nan_in_a_constant_map(package: ModuleType) -> float:
    """A constant map of zeros: warnings about NaN."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        package.utils.display.heatmap_display(np.zeros((3, 4), "float32"), photographs()[0] / 255)
    return len(caught)


def photograph_below_a_map(package: ModuleType) -> float:
    """A photograph as floats in 0..255 below a map: mean error of its gray levels."""
    photograph = photographs()[0]
    return np.abs(package.utils.display.image_to_uint_255(photograph) - photograph).mean()


def wrapped_gradients(package: ModuleType) -> float:
    """A picture of gradients, 7 x 5: pixels with integer overflow."""
    gradients = np.abs(np.random.default_rng(0).normal(size=(1, 7, 5, 3))).astype("float32")
    summed = gradients.sum(-1)
    expected = np.clip(255 * (summed - summed.mean()) / summed.std(), 0, 255)
    return (np.abs(package.utils.image.transform_to_normalized_grayscale(gradients).numpy() - expected) > 1.01).sum()


def standardized_together(package: ModuleType) -> float:
    """A picture of gradients beside one 9 times as large: mean change of its gray levels."""
    gradients = np.random.default_rng(0).random((2, *SHAPE)) * np.array([1, 9]).reshape(2, 1, 1, 1)
    gray = package.utils.image.transform_to_normalized_grayscale
    alone, beside = (gray(some.astype("float32")).numpy()[0].astype(float) for some in (gradients[:1], gradients))
    return np.abs(alone - beside).mean()


def small_gradients(package: ModuleType) -> float:
    """A picture of gradients of about 0.0001: brightest gray level."""
    gradients = np.random.default_rng(0).random((1, *SHAPE), "float32") * np.float32(1e-4)
    return package.utils.image.transform_to_normalized_grayscale(gradients).numpy().max()


def occlusion_of_a_wide_image(package: ModuleType) -> float:
    """Occlusion of a 12 x 24 image: pixels from the only evidence to the maximum of the map."""
    images = np.full((1, 12, 24, 3), 255, "float32")
    (found,) = raw_maps(package, "OcclusionSensitivity", (images, None), corner(12, 24), 0, 4)
    row, column = np.unravel_index(found.argmax(), found.shape)
    return np.hypot(max(row - 3, 0), max(20 - column, 0))


def occlusion_of_values_up_to_1(package: ModuleType) -> float:
    """Occlusion of an image in 0..1: share of the pixels below the only evidence."""
    images = np.full((1, 16, 16, 3), 0.2, "float32")
    images[:, :4, 12:] = 0.9
    (found,) = raw_maps(package, "OcclusionSensitivity", (images, None), corner(16, 16), 0, 4)
    return (found < found[1, 14]).mean()


def integrated_gradients(package: ModuleType) -> float:
    """Integrated gradients, 50 steps: error of their sum, relative to the rise of the score from a black image."""
    model, images, explainer = network(activation=None), photographs(), package.core.IntegratedGradients
    found = explainer.get_integrated_gradients(explainer.generate_interpolations(images, 50), model, 1, 50)
    scores = model.predict(np.concatenate([images, 0 * images]), verbose=0)[:, 1]
    rise = scores[:2] - scores[2:]
    return np.abs((np.asarray(found).sum((1, 2, 3)) - rise) / rise).max()


def gradients_of_a_certain_model(package: ModuleType) -> float:
    """Gradients, a class with p = 1: brightest gray level."""
    model, images = network(certainty=100), photographs(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return package.core.VanillaGradients().explain((images, None), model, _predicted(model, images)).max()


def gradcam_of_a_certain_model(package: ModuleType) -> float:
    """Grad-CAM, a class with p = 1: maximum of the map."""
    model, images = network(certainty=100), photographs(1)
    predicted = _predicted(model, images)
    return raw_maps(package, "GradCAM", (images, None), model, predicted, layer_name="features").max()


def gradcam_against(package: ModuleType) -> float:
    """Grad-CAM without guidance, a class with negative evidence: minimum of the map."""
    model, images = network(activation=None), photographs(1, highest=1)
    least = int(model.predict(images, verbose=0)[0].argmin())
    settings = {"layer_name": "features", "use_guided_grads": False}
    return raw_maps(package, "GradCAM", (images, None), model, least, **settings).min()


def occlusion_of_a_certain_model(package: ModuleType) -> float:
    """Occlusion, a class with p = 1: maximum minus minimum of the map."""
    model, images = network(certainty=100), photographs(1)
    return np.ptp(raw_maps(package, "OcclusionSensitivity", (images, None), model, _predicted(model, images), 4))


def smoothgrad_of_a_certain_model(package: ModuleType) -> float:
    """SmoothGrad, a class with p = 1: largest magnitude."""
    model, images = network(certainty=100), photographs(8)
    found = package.core.SmoothGrad.get_averaged_gradients(images, model, _predicted(model, images), 8)
    return np.abs(found).max()


def smoothgrad_of_logits(package: ModuleType) -> float:
    """SmoothGrad, a class with a negative logit, of a model without softmax: largest magnitude."""
    model, images = network(activation=None), photographs(8)
    least = int(model.predict(images, verbose=0).mean(0).argmin())
    return np.abs(package.core.SmoothGrad.get_averaged_gradients(images, model, least, 8)).max()


def silent_failure(package: ModuleType) -> float:
    """A file that cannot be written: exceptions."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "taken.png").mkdir()
        try:
            package.core.GradCAM().save(np.zeros((4, 4, 3), "uint8"), folder, "taken.png")
        except OSError:
            return 1
        return 0


MEASURES: dict[Callable[[ModuleType], float], str] = {
    nan_in_a_constant_map: "a constant map of zeros: warnings about NaN",
    photograph_below_a_map: "a photograph as floats in 0..255 below a map: mean error of its gray levels",
    wrapped_gradients: "a picture of gradients, 7 x 5: pixels whose values have wrapped around",
    standardized_together: "a picture of gradients beside one 9 times as large: mean change of its gray levels",
    small_gradients: "a picture of gradients of about 0.0001: brightest gray level",
    occlusion_of_a_wide_image: "occlusion of a 12 x 24 image: pixels from the evidence to the maximum of the map",
    occlusion_of_values_up_to_1: "occlusion of an image in 0..1: share of the pixels below the evidence",
    integrated_gradients: "integrated gradients, 50 steps: relative error of their sum",
    gradients_of_a_certain_model: "gradients, a class with p = 1: brightest gray level",
    gradcam_of_a_certain_model: "Grad-CAM, a class with p = 1: maximum of the map",
    occlusion_of_a_certain_model: "occlusion, a class with p = 1: maximum minus minimum of the map",
    smoothgrad_of_a_certain_model: "SmoothGrad, a class with p = 1: largest magnitude",
    smoothgrad_of_logits: "SmoothGrad, a class with a negative logit, of a model without softmax: largest magnitude",
    gradcam_against: "Grad-CAM without guidance, a class with negative evidence: minimum of the map",
    silent_failure: "a file that cannot be written: exceptions",
}


def _predicted(model: keras.Model, images: Array) -> int:
    return int(model.predict(images, verbose=0)[0].argmax())


EXPLAINERS: dict[str, dict[str, Any]] = {
    "GradCAM": {"layer_name": "features"},
    "OcclusionSensitivity": {"patch_size": 7},
    "VanillaGradients": {},
    "GradientsInputs": {},
    "IntegratedGradients": {"n_steps": 10},
    "SmoothGrad": {"num_samples": 5, "noise": 0.15},
}


def print_shares(path: str, limit: int) -> None:
    """Print the share of each explainer's maps on the garment, for test grids that are classified correctly."""
    run = runs.open_run(path)
    model, (images, labels, truth) = run.model(), next(run.data().truth("test").as_numpy_iterator())
    correct = np.flatnonzero(model.predict(images, verbose=0).argmax(1) == labels)[:limit]
    masks = kam.data.masks({name: part[correct] for name, part in truth.items()}, images.shape[1:3])
    print(f"\n| share of the map on the garment, {len(correct)} grids | tf-explain 0.3.1 | keras_actmaps.tf_explain |")
    print("| --- | ---: | ---: |")
    for name, settings in EXPLAINERS.items():
        before, after = (
            _share(package, name, settings, model, images[correct], labels[correct], masks)
            for package in (original, ours)
        )
        print(f"| {name} | {before:.3f} | {after:.3f} |")


def _share(
    package: ModuleType,
    name: str,
    settings: Mapping[str, Any],
    model: keras.Model,
    images: Array,
    labels: Array,
    masks: Array,
) -> float:
    """The share of the drawn map, relative to its minimum, inside the mask; the mean over the images."""
    np.random.seed(0)
    pairs = zip(images[:, None], labels.tolist())
    maps = np.concatenate([raw_maps(package, name, (image, None), model, label, **settings) for image, label in pairs])
    maps = resize(maps, images.shape[1:3])
    maps -= maps.min((1, 2), keepdims=True)
    sums = maps.sum((1, 2))
    return np.mean((maps * masks).sum((1, 2)) / np.where(sums > 0, sums, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="also measure the maps' share on the garment, for a run of grids")
    parser.add_argument("--limit", type=int, default=50)
    arguments = parser.parse_args()
    print("| what is measured | tf-explain 0.3.1 | keras_actmaps.tf_explain |\n| --- | ---: | ---: |")
    for measure, description in MEASURES.items():
        print(f"| {description} | {measure(original):.3g} | {measure(ours):.3g} |")
    if arguments.run:
        print_shares(arguments.run, arguments.limit)


if __name__ == "__main__":
    main()
