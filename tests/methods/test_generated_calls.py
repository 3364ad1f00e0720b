"""Generated calls end in finite maps, one for each input, or in one sentence that says what is wrong.

150 of them, the same in each run; more: CALLS=10000 python -m pytest tests/methods/test_generated_calls.py
Others: SEED=7, any number, beside CALLS.
"""

import os

import numpy as np
import pytest
from helpers import linear_network
from helpers.calls import calls, run
from hypothesis import HealthCheck, given, seed, settings

import keras_actmaps as kam
from keras_actmaps.cli.choices import parse_choices

COUNT = int(os.environ.get("CALLS", 150))
SEED = os.environ.get("SEED")


def seeded(test):
    """A test of the calls that belong to the seed of the environment, if there is one."""
    return test if SEED is None else seed(int(SEED))(test)


@seeded
@settings(
    max_examples=COUNT, derandomize=SEED is None, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)  # fmt: skip
@given(calls())
def test_a_call_ends_in_maps_or_a_clear_error(call):
    run(call)


@pytest.mark.parametrize("word, value", [("false", False), ("False", False), ("true", True)])
def test_words_of_the_command_line_are_truth_values(word, value):
    (choice,) = parse_choices("lrp", [f"bias={word}"], kam.METHODS)
    assert choice.settings == {"bias": value}


def images(count=2):
    return np.random.default_rng(0).random((count, 6, 5, 3), "float32")


@pytest.mark.parametrize(
    "inputs, settings, message",
    [
        (images(), {"bias": "false"}, "^bias must be true or false, got 'false'$"),
        (images(), {"bias": 0}, "^bias must be true or false, got 0$"),
        (images(), {"low": float("nan"), "composite": "epsilon_gamma_box"}, "^low must be .*, got nan$"),
        (images() + 1j, {}, "^inputs of type complex64 are not numeric; "),
        (np.where(np.arange(2)[:, None, None, None] == 1, np.nan, images()), {}, "^input 1 contains NaN or Inf$"),
        (images().astype("float64") * 1e300, {}, "^input 0 contains NaN or Inf$"),
    ],
)
def test_numbers_that_have_no_map_are_errors(inputs, settings, message):
    with pytest.raises(ValueError, match=message):
        kam.explain(linear_network((6, 5, 3))[0], inputs, "lrp", targets=0, **settings)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "deeplift", "occlusion", "lrp"])
def test_maps_of_huge_images_are_right_or_an_error(method):
    model, weights, biases = linear_network((6, 5, 3))
    model.layers[-1].set_weights([1e-3 * weights.reshape(90, 2), biases])
    small = kam.explain(model, images(), method, targets=0, **({"patch": 1} if method == "occlusion" else {}))
    huge = kam.explain(model, images() * np.float32(1e38), method, targets=0, **small.settings)
    np.testing.assert_allclose(huge.maps / 1e38, small.maps, atol=1e-2 * np.abs(small.maps).max())
    with pytest.raises(ValueError, match="the score of input 0 is NaN or Inf"):
        kam.explain(linear_network((6, 5, 3), seed=3)[0], images() * np.float32(3e38), method, targets=0)
