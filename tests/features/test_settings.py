"""Odd values of every argument: one sentence that names the argument, before any work."""

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.core.settings import settings_of
from keras_actmaps.features.settings import AscentSettings, make_ascent_settings, validate_arguments

IMAGES = np.zeros((1, 12, 16, 3), "float32")
NUMBERS = ("x", "", None, object(), [], [1, 2], {}, -1, 10**30, float("nan"), float("inf"), 1j, b"1", True, np.ones(3))
COUNTS = (*NUMBERS, 0, 1.5)


class Unprintable:
    """Even `repr` fails."""

    def __repr__(self):
        raise RuntimeError("no text")


def unread():
    raise AssertionError("the data set was read")
    yield


def check(name, call):
    with pytest.raises(ValueError) as raised:
        call()
    message = str(raised.value)
    assert name in message and "\n" not in message and len(message) < 400


@pytest.fixture(scope="module")
def model():
    return gap_network()


@pytest.fixture(autouse=True)
def no_programs(monkeypatch):
    monkeypatch.setattr(kam.Probe, "program", lambda *_, **__: pytest.fail("a program was compiled"))


@pytest.mark.parametrize(
    "name, values",
    [
        *(
            (name, (*NUMBERS, Unprintable()))
            for name in AscentSettings.__dataclass_fields__
            if name not in ("bounds", "ground", "parametrisation")
        ),
        ("ground", ("x", -1, 2, 10**30, float("nan"), [], True)),
        (
            "bounds",
            ((1, 0), (0, 0), 1, (0,), (0, 1, 2), ("a", "b"), None, (0, float("inf")), (-3e38, 3e38), (0, 1e-50)),
        ),
        ("layer", ({}, [[1]], object(), 1.5, b"conv1", "nope", 99, ["conv1", "features"], np.ones(2))),
        ("parametrisation", ("wavelets", None, 1, ["fourier"], {}, np.ones(2))),
        ("steps", COUNTS),
        ("seed", (*NUMBERS[:-1], 2**63)),
        (
            "targets",
            ("x", None, 1.5, {}, object(), [[]], [[1], [2, 3]], True, 1j, np.ones(2), [None], lambda outputs: 0),
        ),
        ("does not exist", (-1, 4, 2**40, [0, 9])),
        ("10000000", (10**30,)),
        ("start", (np.zeros((3, 12, 16, 3)), np.full((1, 12, 16, 3), 7.0))),
        ("inputs", ("x", 1, {}, [], np.zeros((0, 12, 16, 3)), np.array(["a"]), object())),
    ],
)  # the name of the argument, or another part of the message
def test_odd_values_of_ascent(model, name, values):
    argument = {"does not exist": "targets", "10000000": "targets", "inputs": "start"}.get(name, name)
    for value in values:
        check(name, lambda value=value: kam.ascent(model, **{"targets": 0, argument: value}))


@pytest.mark.parametrize("name", ["k", "batch_size"])
def test_odd_counts_of_exemplars(model, name):
    for value in COUNTS:
        check(name, lambda value=value: kam.exemplars(model, unread(), **{name: value}))


@pytest.mark.parametrize(
    "name, values",
    [
        ("reduce", ("median", None, 1, ["max"], {})),
        ("channel", (object(), "x", 1.5, {}, [[1], [2, 3]], [[1]], [], -1, 8, 10**30, True, float("nan"))),
        ("layer", (object(), "nope", 1.5, {}, [], ["features"], 99, b"features")),
    ],
)
def test_odd_values_of_exemplars(model, name, values):
    argument = {"channel": "channels"}.get(name, name)
    for value in values:
        check(name, lambda value=value: kam.exemplars(model, unread(), **{argument: value}))


@pytest.mark.parametrize("name", ["layers", "pool", "filters", "kernel_size"])
@pytest.mark.parametrize("with_model", [True, False])
def test_odd_counts_of_pooling(model, name, with_model):
    for value in COUNTS:
        if name == "kernel_size" and (value is None or (isinstance(value, list) and value)):
            continue
        check(name, lambda value=value: kam.pooling(model if with_model else None, IMAGES, **{name: value}))


def test_odd_images_of_pooling(model):
    for value in ("x", None, 1, {}, [], np.zeros((12, 16, 3)), np.zeros((0, 12, 16, 3)), object(), [[1], [2, 3]]):
        for of in (model, None):
            check("images", lambda value=value, of=of: kam.pooling(of, value))


def test_odd_layers_and_batch_sizes_of_feature_maps(model):
    for value in (1, object(), {}, [], [1], [None], b"conv", "nope", 1.5):
        check("layer", lambda value=value: kam.feature_maps(model, IMAGES, value))
    for value in COUNTS:
        check("batch_size", lambda value=value: kam.feature_maps(model, IMAGES, batch_size=value))


def test_settings_are_documented_and_canonical():
    assert all(setting.meaning for setting in settings_of(AscentSettings).values())
    settings = make_ascent_settings({"rate": np.float32(0.5), "bounds": [0, np.int64(2)], "noise": 1})
    assert (type(settings.rate), settings.bounds, settings.noise) == (float, (0, 2), 1)
    assert hash(settings) == hash(make_ascent_settings({"rate": 0.5, "bounds": (0.0, 2.0), "noise": 1.0}))
    assert validate_arguments(kam.pooling, pool=np.int64(3), kernel_size=(3, np.int32(5))) == [3, (3, 5)]
