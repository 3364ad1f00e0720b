"""What is wrong in tf-explain 0.3.1, measured on it and on keras_actmaps.tf_explain: python -m benchmarks.tf_explain"""

import argparse
import io
import os
import sys
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tf_explain as original
from keras import layers

import keras_actmaps as kam
from keras_actmaps import tf_explain as ours
from keras_actmaps.cli.tf_explain import record_maps
from keras_actmaps.core.resize import resize
from keras_actmaps.training import runs

SHAPE = (12, 16, 3)


def network(activation="softmax", sureness=1.0) -> keras.Model:
    """Two convolutions with seeded weights, global average pooling and a head, whose logits sureness multiplies."""
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
        weight.assign(sureness * weight)
    return model


def corner(height: int, width: int) -> keras.Model:
    """Two scores: the mean of the 4 x 4 pixels at the top right, and 0."""
    images = keras.Input((height, width, 3))
    square = layers.Cropping2D(((0, height - 4), (width - 4, 0)))(images)
    model = keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(square)))
    model.layers[-1].set_weights([np.array([[1, 0]] * 3) / 3, np.zeros(2)])
    return model


def photographs(count: int = 2, highest: float = 255) -> np.ndarray:
    """Noise of the values 0 to `highest`, (N,12,16,3)."""
    return np.rint(np.random.default_rng(1).random((count, *SHAPE)) * 255).astype("float32") * np.float32(highest / 255)


def undrawn(room, explainer: str, *arguments, **settings) -> np.ndarray:
    """The maps (N,h,w) that an explainer hands on to be drawn."""
    explain, maps = getattr(room.core, explainer)().explain, []
    with record_maps(sys.modules[explain.__module__], maps), np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with redirect_stdout(io.StringIO()):  # where predict shows its progress
            explain(*arguments, **settings)
    return np.concatenate(maps)


def nan_in_a_constant_map(room) -> float:
    """a map of zeros is drawn: warnings of NaN"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        room.utils.display.heatmap_display(np.zeros((3, 4), "float32"), photographs()[0] / 255)
    return len(caught)


def photograph_below_a_map(room) -> float:
    """a photograph, floats in 0..255, below a map: grey levels that it is off, in the mean"""
    photograph = photographs()[0]
    return np.abs(room.utils.display.image_to_uint_255(photograph) - photograph).mean()


def wrapped_gradients(room) -> float:
    """a picture of gradients, 7 x 5: pixels that have wrapped around"""
    gradients = np.abs(np.random.default_rng(0).normal(size=(1, 7, 5, 3))).astype("float32")
    summed = gradients.sum(-1)
    wanted = np.clip(255 * (summed - summed.mean()) / summed.std(), 0, 255)
    return (np.abs(room.utils.image.transform_to_normalized_grayscale(gradients).numpy() - wanted) > 1.01).sum()


def standardised_as_one(room) -> float:
    """a picture of gradients beside one of gradients 9 times as large: grey levels that it changes, in the mean"""
    gradients = np.random.default_rng(0).random((2, *SHAPE)) * np.array([1, 9]).reshape(2, 1, 1, 1)
    grey = room.utils.image.transform_to_normalized_grayscale
    alone, beside = (grey(some.astype("float32")).numpy()[0].astype(float) for some in (gradients[:1], gradients))
    return np.abs(alone - beside).mean()


def small_gradients(room) -> float:
    """a picture of gradients of about 0.0001: the brightest grey level"""
    gradients = np.random.default_rng(0).random((1, *SHAPE), "float32") * np.float32(1e-4)
    return room.utils.image.transform_to_normalized_grayscale(gradients).numpy().max()


def occlusion_of_a_wide_image(room) -> float:
    """occlusion of an image of 12 x 24: pixels from the only evidence to the maximum of the map"""
    images = np.full((1, 12, 24, 3), 255, "float32")
    (found,) = undrawn(room, "OcclusionSensitivity", (images, None), corner(12, 24), 0, 4)
    row, column = np.unravel_index(found.argmax(), found.shape)
    return np.hypot(max(row - 3, 0), max(20 - column, 0))


def occlusion_of_values_up_to_1(room) -> float:
    """occlusion of an image in 0..1: share of the pixels that count for less than the only evidence"""
    images = np.full((1, 16, 16, 3), 0.2, "float32")
    images[:, :4, 12:] = 0.9
    (found,) = undrawn(room, "OcclusionSensitivity", (images, None), corner(16, 16), 0, 4)
    return (found < found[1, 14]).mean()


def integrated_gradients(room) -> float:
    """integrated gradients, 50 steps: what their sum misses of the rise of the score from black, a share of it"""
    model, images, explainer = network(activation=None), photographs(), room.core.IntegratedGradients
    found = explainer.get_integrated_gradients(explainer.generate_interpolations(images, 50), model, 1, 50)
    scores = model.predict(np.concatenate([images, 0 * images]), verbose=0)[:, 1]
    rise = scores[:2] - scores[2:]
    return np.abs((np.asarray(found).sum((1, 2, 3)) - rise) / rise).max()


def gradients_of_a_sure_model(room) -> float:
    """gradients, a class of p = 1: the brightest grey level"""
    model, images = network(sureness=100), photographs(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return room.core.VanillaGradients().explain((images, None), model, _predicted(model, images)).max()


def gradcam_of_a_sure_model(room) -> float:
    """Grad-CAM, a class of p = 1: the highest value of the map"""
    model, images = network(sureness=100), photographs(1)
    predicted = _predicted(model, images)
    return undrawn(room, "GradCAM", (images, None), model, predicted, layer_name="features").max()


def gradcam_against(room) -> float:
    """Grad-CAM, not guided, a class that the image speaks against: the lowest value of the map"""
    model, images = network(activation=None), photographs(1, highest=1)
    least = int(model.predict(images, verbose=0)[0].argmin())
    settings = {"layer_name": "features", "use_guided_grads": False}
    return undrawn(room, "GradCAM", (images, None), model, least, **settings).min()


def occlusion_of_a_sure_model(room) -> float:
    """occlusion, a class of p = 1: highest less lowest value of the map"""
    model, images = network(sureness=100), photographs(1)
    return np.ptp(undrawn(room, "OcclusionSensitivity", (images, None), model, _predicted(model, images), 4))


def smoothgrad_of_a_sure_model(room) -> float:
    """SmoothGrad, a class of p = 1: the highest value"""
    model, images = network(sureness=100), photographs(8)
    found = room.core.SmoothGrad.get_averaged_gradients(images, model, _predicted(model, images), 8)
    return np.abs(found).max()


def smoothgrad_of_logits(room) -> float:
    """SmoothGrad, a class of a negative logit of a model without a softmax: the highest value"""
    model, images = network(activation=None), photographs(8)
    least = int(model.predict(images, verbose=0).mean(0).argmin())
    return np.abs(room.core.SmoothGrad.get_averaged_gradients(images, model, least, 8)).max()


def silent_failure(room) -> float:
    """a file that cannot be written: errors"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "taken.png").mkdir()
        try:
            room.core.GradCAM().save(np.zeros((4, 4, 3), "uint8"), folder, "taken.png")
        except OSError:
            return 1
        return 0


MEASURES = (
    *(nan_in_a_constant_map, photograph_below_a_map, wrapped_gradients, standardised_as_one, small_gradients),
    *(occlusion_of_a_wide_image, occlusion_of_values_up_to_1, integrated_gradients),
    *(gradients_of_a_sure_model, gradcam_of_a_sure_model, occlusion_of_a_sure_model, smoothgrad_of_a_sure_model),
    *(smoothgrad_of_logits, gradcam_against, silent_failure),
)


def _predicted(model, images) -> int:
    return int(model.predict(images, verbose=0)[0].argmax())


EXPLAINERS = {
    "GradCAM": {"layer_name": "features"},
    "OcclusionSensitivity": {"patch_size": 7},
    "VanillaGradients": {},
    "GradientsInputs": {},
    "IntegratedGradients": {"n_steps": 10},
    "SmoothGrad": {"num_samples": 5, "noise": 0.15},
}


def shares(run: str, limit: int) -> None:
    """Print how much of each explainer's maps lies on the garment, of test grids that are classified correctly."""
    run = runs.open_run(run)
    model, (images, labels, truth) = run.model(), next(run.data().truth("test").as_numpy_iterator())
    correct = np.flatnonzero(model.predict(images, verbose=0).argmax(1) == labels)[:limit]
    masks = kam.data.masks({name: part[correct] for name, part in truth.items()}, images.shape[1:3])
    print(f"\n| share of the map on the garment, {len(correct)} grids | tf-explain 0.3.1 | keras_actmaps.tf_explain |")
    print("| --- | ---: | ---: |")
    for name, settings in EXPLAINERS.items():
        given = name, settings, model, images[correct], labels[correct], masks
        print(f"| {name} | {_share(original, *given):.3f} | {_share(ours, *given):.3f} |")


def _share(room, name: str, settings: dict, model, images, labels, masks) -> float:
    """The mean over the images of the map's share inside the mask, from its lowest value, as it is drawn."""
    np.random.seed(0)
    pairs = zip(images[:, None], labels.tolist())
    maps = np.concatenate([undrawn(room, name, (image, None), model, label, **settings) for image, label in pairs])
    maps = resize(maps, images.shape[1:3])
    maps -= maps.min((1, 2), keepdims=True)
    sums = maps.sum((1, 2))
    return np.mean((maps * masks).sum((1, 2)) / np.where(sums > 0, sums, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="a run of grids, of which the maps' share on the garment is measured too")
    parser.add_argument("--limit", type=int, default=50)
    arguments = parser.parse_args()
    print("| what, and what is measured | tf-explain 0.3.1 | keras_actmaps.tf_explain |\n| --- | ---: | ---: |")
    for measure in MEASURES:
        print(f"| {measure.__doc__} | {measure(original):.3g} | {measure(ours):.3g} |")
    if arguments.run:
        shares(arguments.run, arguments.limit)


if __name__ == "__main__":
    main()
