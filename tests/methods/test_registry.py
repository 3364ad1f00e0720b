"""The records of the methods: what they document, how they are found, and how their settings are validated."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import QUICK, array, forbid_passes, gap_network

import keras_actmaps as kam
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.resize import resize
from keras_actmaps.methods import METHODS, Method, find_method
from keras_actmaps.methods.registry import Attribution
from keras_actmaps.methods.request import make_request

FOLDER = Path(kam.__file__).parent / "methods"
NEEDS = {"gradients", "graph", "spatial_layer", "attention", "gap_head"}
WITH_CHANNELS = [name for name, method in METHODS.items() if method.reduction]


@pytest.mark.parametrize("name", METHODS)
def test_every_record_is_complete(name):
    method = METHODS[name]
    assert method.name == name and (FOLDER / f"{name}.py").exists()
    for text in (method.summary, method.paper, method.cost, method.limitations):
        assert text.strip() == text and len(text) > 5 and "\n" not in text
    assert re.search(r"\b(19|20)\d\d\b", method.paper)
    assert method.needs <= NEEDS
    assert ("spatial_layer" in method.needs) == (method.level == "layer")
    for setting in method.settings.values():
        assert len(setting.meaning) > 5
        setting.validate(setting.default)


def test_every_file_of_a_method_has_a_record():
    files = {path.stem for path in FOLDER.glob("*.py") if re.search("^METHOD = Method", path.read_text(), re.MULTILINE)}
    assert files == set(METHODS)


def test_a_method_is_found_by_name_or_as_a_record():
    assert find_method("lrp") is METHODS["lrp"]
    assert find_method(METHODS["lrp"]) is METHODS["lrp"]


UNKNOWN = [("Grad-CAM", "'Grad-CAM'"), ("", "''"), (None, "None"), (3, "3"), (["lrp"], "['lrp']"), (array, "array")]


@pytest.mark.parametrize(("unknown", "shown"), UNKNOWN)
def test_an_unknown_method_names_the_choices(unknown, shown):
    with pytest.raises(ValueError) as error:
        find_method(unknown)
    assert str(error.value) == f"method must be one of {', '.join(METHODS)}, got {shown}"


def test_explain_takes_a_record(images):
    model = gap_network()
    by_name, by_record = (kam.explain(model, images, method) for method in ("gradcam", METHODS["gradcam"]))
    np.testing.assert_array_equal(by_record.maps, by_name.maps)
    assert by_record.method == "gradcam"

    def brightness(traced, inputs, targets, *, factor: float = 1.0):
        return Attribution(factor * inputs)

    texts = dict.fromkeys(("summary", "paper", "cost", "limitations"), "for tests")
    own = Method(name="brightness", function=brightness, reduction="sum", **texts)
    e = kam.explain(model, images, own, targets=1, factor=2.0)
    np.testing.assert_allclose(e.maps, 2 * images.sum(-1), rtol=1e-6)
    np.testing.assert_allclose(e.scores, model.predict(images, verbose=0)[:, 1], rtol=1e-5)
    assert e.method == "brightness" and e.settings == {"factor": 2.0, "channels": "sum"}


@pytest.mark.parametrize("name", WITH_CHANNELS)
def test_abs_max_is_the_maximum_of_the_absolute_values_and_max_its_older_name(name, images):
    model, settings = gap_network(), QUICK.get(name, {})
    kept, strongest, older = (
        kam.explain(model, images, name, channels=channels, **settings).maps for channels in ("keep", "abs_max", "max")
    )
    assert np.ptp(strongest) > 0
    np.testing.assert_array_equal(strongest, older)
    expected = resize(np.abs(kept).max(-1), strongest.shape[1:])  # of a layer, with channels kept at its size
    np.testing.assert_allclose(strongest, expected, rtol=1e-5, atol=1e-6 * strongest.max())


class Odd:
    """A value that no setting allows."""

    __array__ = None


ODD = {
    "an object": Odd(),
    "a text": "nonsense",
    "an empty text": "",
    "a text of two lines": "two\nlines",
    "true": True,
    "none": None,
    "zero": 0,
    "a negative number": -1,
    "a fraction": 2.5,
    "a large number": 10**7,
    "a huge number": 10**400,
    "infinity": float("inf"),
    "NaN": float("nan"),
    "a complex number": 1j,
    "an empty list": [],
    "a list": [1, 2, 3, 4],
    "texts": ["a", "b"],
    "a ragged list": [[1], [2, 3]],
    "an empty dict": {},
    "a dict": {"conv9": "zero"},
    "an empty array": np.zeros(0),
    "an array": np.zeros((5, 2)),
    "an array of NaN": np.full((12, 16, 3), np.nan),
    "a function": lambda *_: "nonsense",
}
SETTINGS = [(method, setting) for method in METHODS for setting in METHODS[method].settings]


@pytest.fixture(scope="module")
def model():
    return gap_network()


@pytest.mark.parametrize(("method", "setting"), SETTINGS)
def test_odd_values_are_accepted_or_rejected_in_one_line_before_any_pass(method, setting, model, images, monkeypatch):
    forbid_passes(monkeypatch)
    traced = as_traced(model)
    rejected = []
    for description, value in ODD.items():
        try:
            make_request(method, {setting: value}).validate(traced, images)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 800, description  # the names of all methods
            rejected.append(description)
    assert {"an object", "a complex number", "a ragged list", "a large number"} & set(rejected)
    assert len(rejected) >= 10


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_setting_names_the_known_ones(method, model, images, monkeypatch):
    forbid_passes(monkeypatch)
    known = ", ".join(METHODS[method].settings) or "none"
    with pytest.raises(ValueError, match=f"^{method} has no setting 'stepz'; it has: {known}$"):
        kam.explain(model, images, method, stepz=3)


def test_the_targets_of_a_function_are_none(model, images):
    for method in ("gradcam", "occlusion"):
        e = kam.explain(model, images, method, targets=lambda outputs: outputs[:, 0] - outputs[:, 1])
        logits = model.predict(images, verbose=0)
        assert e.targets is None
        np.testing.assert_allclose(e.scores, logits[:, 0] - logits[:, 1], rtol=1e-4, atol=1e-5)


def test_xla_can_be_turned_off(model, images):
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match="xla=False: "):
            kam.explain(model, images, xla=False)
        return
    for method in ("gradcam", "saliency"):
        expected = kam.explain(model, images, method).maps
        found = kam.explain(model, images, method, xla=False).maps
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * expected.max())
