"""What float16 costs, against float64 by hand, and files whose bytes depend on their arrays only."""

import io
import time

import h5py
import numpy as np
import pytest

from keras_actmaps.bulk.shard import Part, read_rows, scales_of, to_bytes


def stored(maps, scores=None):
    scores = np.zeros(len(maps), "float32") if scores is None else scores
    content = to_bytes(Part({"maps": maps, "scores": scores}, {}), 0, {})
    with h5py.File(io.BytesIO(content)) as file:
        return read_rows(file, slice(None))["maps"]


@pytest.mark.parametrize("power", [-120, -60, -20, -1, 0, 1, 20, 60, 120])
def test_a_value_is_within_2_to_the_minus_11_of_itself_or_2_to_the_minus_24_of_the_largest(power):
    random = np.random.default_rng(power % 7)
    magnitudes = np.exp2(random.uniform(-30, 0, (40, 9, 9))) * random.choice([-1, 1], (40, 9, 9))
    maps = np.ldexp(magnitudes, power).astype("float32")
    found, exact = stored(maps).astype("float64"), maps.astype("float64")
    largest = np.abs(exact).max(axis=(1, 2), keepdims=True)
    bound = np.maximum(2.0**-11 * np.abs(exact), 2.0**-24 * largest)
    assert (np.abs(found - exact) <= bound).all()
    assert (np.abs(found - exact).max(axis=(1, 2)) <= 2.0**-11 * largest[:, 0, 0]).all()


def test_zeros_signs_and_powers_of_two_are_exact():
    maps = np.array([[[0, 0.5], [-0.25, 2.0**-10]], [[0, 0], [0, 0]]], "float32")
    np.testing.assert_array_equal(stored(maps), maps)


def test_a_map_of_nan_is_one():
    maps = np.stack([np.full((2, 2), np.nan), np.ones((2, 2))]).astype("float32")
    np.testing.assert_array_equal(stored(maps), maps)


def test_each_target_has_its_own_scale():
    maps = np.stack([np.full((2, 3, 3), 1e-6), np.full((2, 3, 3), 1e6)], axis=1).astype("float32")
    found = stored(maps, np.zeros((2, 2), "float32"))
    np.testing.assert_allclose(found, maps, rtol=2.0**-11)
    assert scales_of(maps, 2).shape == (2, 2)


def test_the_bytes_of_a_file_do_not_depend_on_the_time():
    maps = np.random.default_rng(0).normal(size=(300, 56, 56)).astype("float32")
    part = Part({"maps": maps, "scores": maps[:, 0, 0]}, {3: "unreadable"})
    before = to_bytes(part, 0, {"method": "saliency"})
    time.sleep(1.1)
    assert to_bytes(part, 0, {"method": "saliency"}) == before
