"""docs/migrate.md: the calls of other packages run where these are installed, and equal ours where it says so."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from helpers import BACKEND, randomised
from keras import layers

import keras_actmaps as kam

PAGE = (Path(__file__).parents[2] / "docs" / "migrate.md").read_text("utf-8")
MODULES = {
    "tf-keras-vis": [
        *(f"tf_keras_vis.{name}" for name in ("gradcam", "gradcam_plus_plus", "scorecam", "layercam", "saliency")),
        *("tf_keras_vis.activation_maximization", "tf_keras_vis.utils.model_modifiers", "tf_keras_vis.utils.scores"),
    ],
    "xplique": ["xplique", "xplique.attributions", "xplique.metrics"],
    "captum": ["captum.attr"],
    "pytorch-grad-cam": [
        "pytorch_grad_cam",
        "pytorch_grad_cam.utils.image",
        "pytorch_grad_cam.utils.model_targets",
    ],
}
BACKENDS = {"tf-keras-vis": "tensorflow", "xplique": "tensorflow", "captum": "torch", "pytorch-grad-cam": "torch"}


class Row(NamedTuple):
    """A row of the page: code of the other package, ours, and what the page says of their numbers."""

    package: str
    theirs: str
    ours: str
    numbers: str


def rows() -> list[Row]:
    sections = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M)
    found = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (.+) \|$", re.M)
    return [Row(package, *cells) for package, text in sections for cells in found.findall(text)]


def bound(numbers: str) -> float | None:
    """Largest difference, relative to the largest number, that a row claims; None where it claims no equality."""
    claim = re.match(r"equal(?: to ([\d.]+))?(?=[:;]|$)", numbers)
    return claim and float(claim[1] or 1e-5)


def names_of(package: str) -> dict:
    """All names that the rows of a package use; the test is skipped where it cannot be run."""
    if BACKENDS[package] != BACKEND:
        pytest.skip(f"runs with Keras on {BACKENDS[package]}")
    top = MODULES[package][0].partition(".")[0]
    if importlib.util.find_spec(top) is None:
        pytest.skip(f"{top} is not installed: pip install --no-deps -r tests/peers/requirements.txt")
    modules = import_all(MODULES[package])
    names = {"kam": kam, "keras": keras, "np": np}
    for module in modules:
        names |= vars(module)
    return names | (torch_names() if BACKEND == "torch" else keras_names(package))


def import_all(names: list[str]) -> list:
    if BACKEND != "torch":
        return [importlib.import_module(name) for name in names]
    from torchvision_stand_in import torchvision_stand_in

    with torchvision_stand_in():
        return [importlib.import_module(name) for name in names]


def keras_names(package: str) -> dict:
    """xplique's rows take a logits_model; ReplaceToLinear of tf-keras-vis needs the softmax in the last layer."""
    keras.utils.set_random_seed(0)
    outputs = inputs = keras.Input((16, 16, 3))
    top = [layers.Dense(6, activation="softmax")] if package == "tf-keras-vis" else [layers.Dense(6), layers.Softmax()]
    for layer in (
        layers.Conv2D(6, 3, padding="same", activation="relu", name="conv5"),
        layers.GlobalAveragePooling2D(),
        *top,
    ):
        outputs = layer(outputs)
    model = randomised(keras.Model(inputs, outputs))
    images = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    e = kam.explain(model, images, "gradcam", targets=[3, 5])
    logits_model = keras.Model(inputs, model.layers[-2].output)
    onehot = np.eye(6, dtype="float32")[[3, 5]]
    return {"model": model, "logits_model": logits_model, "images": images, "onehot": onehot, "e": e, "maps": e.maps}


def torch_names() -> dict:
    import torch

    torch.manual_seed(0)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()
            self.pool, self.head = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Linear(8, 6)

        def forward(self, x):
            return self.head(self.pool(self.relu(self.conv(x))).flatten(1))

    module = Network().eval()
    segmenter = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1)
    ).eval()
    x = torch.rand(2, 3, 16, 16)
    images = x.numpy().copy()
    mask = np.zeros((16, 16), "float32")
    mask[4:9, 3:8] = 1
    e = kam.explain(module, images, "gradcam", targets=3)
    shown = {"rgb": np.moveaxis(images[0], 0, -1), "e": e, "maps": kam.render.normalize(e.maps)}
    names = {
        "torch": torch,
        "module": module,
        "segmenter": segmenter,
        "x": x.requires_grad_(),
        "images": images,
        "mask": mask,
    }
    return names | shown


def array(value):
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def test_every_package_has_rows_and_most_of_them_claim_equality():
    found = rows()
    assert {row.package for row in found} == set(MODULES)
    assert len(found) == len(re.findall(r"^\| `", PAGE, re.M)) >= 45
    assert sum(bound(row.numbers) is not None for row in found) >= 25


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.package}: {row.theirs[:60]}")
def test_both_calls_run_and_are_equal_where_the_page_says_so(row):
    names = names_of(row.package)
    theirs, ours = eval(row.theirs, names), eval(row.ours, names)
    if callable(theirs):
        assert callable(ours)
        return
    theirs, ours = array(theirs), array(ours)
    assert theirs.shape == ours.shape and np.isfinite(theirs).all() and np.ptp(ours) >= 0
    if limit := bound(row.numbers):
        assert np.abs(theirs - ours).max() <= limit * np.abs(ours).max()


def test_calls_of_tf_explain_on_its_own_page_have_its_arguments():
    if BACKEND != "tensorflow":
        pytest.skip("runs with Keras on tensorflow")
    core, callbacks = (pytest.importorskip(f"tf_explain.{name}") for name in ("core", "callbacks"))
    page = (Path(__file__).parents[2] / "docs" / "tf-explain.md").read_text("utf-8")
    calls = re.findall(r"^\| `((?:\w+\(\)\.explain|\w+Callback)\([^`]*)` \|", page, re.M)
    assert len(calls) == 8
    for code in calls:
        call = ast.parse(code, mode="eval").body
        explainer = re.match(r"(\w+)\(\)\.explain", code)
        function = getattr(core, explainer[1])().explain if explainer else getattr(callbacks, call.func.id)
        inspect.signature(function).bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})
