"""Odd values of -s for every setting: each is accepted and validated, or refused by one ValueError in one line."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps.cli import default, tf_explain
from keras_actmaps.cli.choices import parse_choices
from keras_actmaps.core.settings import validate_settings
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.request import make_request

ODD = [
    *("", " ", "\t", "\n", "=", "==", "abc", "ABC", "zero", "-", "--", "None", "none", "NONE", "null", "True"),
    *("false", "0", "-0", "1", "-1", "2", "3", "00", "0x10", "0b1", "1_000", "１２", "٣", "²", "½", "1e400", "-1e400"),
    *("1e-400", "0.0", "-0.5", "0.5", "1.0", "1.5", "nan", "NaN", "inf", "-inf", "Infinity", "1j", "10**30"),
    *(str(10**30), "9" * 5000, str(-(10**30)), str(2**31), str(2**63), str(2**64), "1e6", "1e308", "1,2", "1,"),
    *("1,2,3,4", "1;2", "1 2", ",", "()", "[]", "{}", "set()", "{1}", "{1: 2}", "{'conv': 1}", "{'conv': 'z+'}"),
    *("{'Conv2D': 'nope'}", "{None: None}", "{'': ''}", "{(1,): [2]}", "[1]", "(1,)", "[1, 2]", "(3, 5)", "[0, 0]"),
    *("[-1, 2]", "[1, 'a']", "[[1, 2], [3, 4]]", "[[[", "]]]", "((((", "{{{", "[" * 50 + "]" * 50, "[" * 5000),
    *("(" * 99 + "1" + ",)" * 99, "-" * 3000 + "1", "~1", "[1, [2, [3]]]", "[nan]", "[1e400]", "[None]", "[True]"),
    *("[" + "1," * 5000 + "]", "'a'", '"a"', "'unfinished", "b'a'", "lambda: 0", "__import__('os')", "print"),
    *("saliency", "gradcam", "lime", "smoothgrad", "keep", "sum", "max", "abs_max", "é", "ß", "日本", "🙂", "\u202e"),
    *("\ud800", "\x00", "\x7f", "a" * 20000, "%s %d {0}", "\\", "'", '"', "#", "../..", "*", "gif", "mp4", "image"),
    *("noise", "fourier", "pixels", "mean", "blur", "otsu", "3.7", "1e3", "1e-3", "0.999999999"),
]
TABLE = {**default.TABLE, **{f"tf-explain {name}": record for name, record in tf_explain.METHODS.items()}}
SETTINGS = [(name, key) for name, record in TABLE.items() for key in record.settings]


@pytest.fixture(scope="module")
def traced():
    """A small network with a convolution, a ReLU and pooling."""
    images = keras.Input((12, 16, 3), name="images")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(images)
    x = layers.GlobalAveragePooling2D()(x)
    return TracedModel(keras.Model(images, layers.Dense(3, name="logits")(x)))


@pytest.mark.parametrize("name, key", SETTINGS, ids=[f"{name}-{key}" for name, key in SETTINGS])
def test_a_value_is_validated_or_refused_in_one_line(name, key, traced):
    record, inputs = TABLE[name], np.random.default_rng(0).random((2, 12, 16, 3), "float32")
    accepted = 0
    for text in ODD:
        try:
            (choice,) = parse_choices(name, [f"{key}={text}"], {name: record})
            assert validate_settings(name, record.settings, choice.settings).keys() == record.settings.keys()
            if name in METHODS and "attention" not in METHODS[name].needs:  # which the network lacks
                make_request(name, choice.settings).validate(traced, inputs)
            accepted += 1
        except ValueError as error:
            message = str(error)
            assert message and "\n" not in message and len(message) < 1000, (text[:40], message)
            assert key in message or "baseline" in message, (text[:40], message)
    assert accepted < len(ODD)


def test_defaults_are_allowed_values():
    for name, key in SETTINGS:
        setting = TABLE[name].settings[key]
        assert setting.parse(str(setting.default)) == setting.default, (name, key)
        assert setting.meaning, f"{name}: {key} has no one-line meaning"


def test_a_huge_text_is_refused_without_work():
    for text in ("+" * 10**6 + "1", "[" * 10**6, "1" * 10**6, "'a'" * 10**5, "a" * 10**7):
        with pytest.raises(ValueError, match="steps must be") as caught:
            parse_choices("integrated_gradients", [f"steps={text}"], METHODS)
        assert len(str(caught.value)) < 300
    assert sys.getrecursionlimit() < 10**5
