"""Parametrizations of images: Fourier coefficients, ImageNet's colors, bounds, and transformations."""

import numpy as np
import pytest
from helpers import array
from keras import ops

from keras_actmaps.features.parametrization import (
    decode,
    encode,
    hartley_matrix,
    inverse_spectrum,
    total_variation_gradient,
    transform,
)

RANDOM = np.random.default_rng(0)


def transformed(images, angle=0.0, zoom=1.0, down=0.0, right=0.0):
    return array(transform(ops.convert_to_tensor(images), *map(ops.convert_to_tensor, (angle, zoom, down, right))))


def decoded(values, base, bounds, parametrization):
    return array(decode(ops.convert_to_tensor(values), ops.convert_to_tensor(base), bounds, parametrization))


@pytest.mark.parametrize("side", [1, 2, 7, 12])
def test_the_hartley_matrix_is_the_real_minus_the_imaginary_part_of_the_fourier_transform(side):
    z = RANDOM.normal(size=side)
    fourier = np.fft.fft(z) / np.sqrt(side)
    np.testing.assert_allclose(hartley_matrix(side) @ z, fourier.real - fourier.imag, atol=1e-5)
    np.testing.assert_allclose(hartley_matrix(side) @ hartley_matrix(side), np.eye(side), atol=1e-5)


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (2, 3), (7, 1), (4, 5)])
def test_one_coefficient_is_a_wave_of_one_frequency_with_an_amplitude_of_its_inverse(position):
    height, width = 8, 10
    values = np.zeros((1, 1, height, width), "float32")
    values[0, 0][position] = 1
    power = np.abs(np.fft.fft2(array(inverse_spectrum(ops.convert_to_tensor(values)))[0, 0])) ** 2
    rows, columns = (np.minimum(np.arange(side), -np.arange(side) % side) for side in (height, width))
    same = (rows[:, None] == rows[position[0]]) & (columns == columns[position[1]])
    assert power[~same].max(initial=0) < 1e-6 * power[same].sum()
    frequency = np.maximum(np.hypot(rows[:, None] / height, columns / width), 1 / max(height, width))
    mean = np.mean(frequency**-2.0)
    np.testing.assert_allclose(power[same].sum() / (height * width), frequency[position] ** -2.0 / mean, rtol=1e-4)


def test_colors_of_noise_are_correlated_as_those_of_imagenet():
    published = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    values = 1e-2 * RANDOM.normal(size=(2000, 3, 8, 8)).astype("float32")
    images = decoded(values, np.zeros((1, 8, 8, 3), "float32"), (0.0, 1.0), "fourier")
    found = np.corrcoef(images.reshape(-1, 3).T)
    covariance = published @ published.T
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found, covariance / np.outer(deviation, deviation), atol=0.02)


def test_colors_of_one_channel_and_of_pixels_are_not_mixed():
    values = RANDOM.normal(size=(2, 3, 4, 5)).astype("float32")
    base = RANDOM.normal(size=(2, 4, 5, 3)).astype("float32")
    pixels = decoded(values, base, (-1.0, 3.0), "pixels")
    np.testing.assert_allclose(pixels, 4 / (1 + np.exp(-base - values.transpose(0, 2, 3, 1))) - 1, atol=1e-5)
    gray = decoded(values[:, :1], base[..., :1], (0.0, 1.0), "fourier")
    change = array(inverse_spectrum(ops.convert_to_tensor(values[:, :1]))).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(gray, 1 / (1 + np.exp(-base[..., :1] - change)), atol=1e-5)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-123.68, 151.061), (-2.1, 2.7), (0.0, 255.0)])
def test_all_values_are_within_the_bounds(bounds):
    values = 100 * RANDOM.normal(size=(1, 3, 16, 16)).astype("float32")
    image = decoded(values, np.zeros((1, 16, 16, 3), "float32"), bounds, "pixels")
    assert image.min() >= np.float32(bounds[0]) and image.max() <= np.float32(bounds[1])
    assert np.isclose(image.min(), bounds[0]) and np.isclose(image.max(), bounds[1])


def test_decoding_the_base_of_an_image_gives_the_image():
    image = RANDOM.uniform(-1.9, 2.9, (1, 5, 6, 3)).astype("float32")
    again = decoded(np.zeros((1, 3, 5, 6), "float32"), encode(image, (-2.0, 3.0)), (-2.0, 3.0), "fourier")
    np.testing.assert_allclose(again, image, atol=1e-5)
    ends = encode(np.array([-2.0, 3.0], "float32"), (-2.0, 3.0))
    np.testing.assert_allclose(5 / (1 + np.exp(-ends)) - 2, [-1.95, 2.95], atol=1e-5)


def test_the_identity_whole_pixels_and_right_angles():
    images = RANDOM.random((2, 7, 7, 3), "float32")
    np.testing.assert_allclose(transformed(images), images, atol=1e-6)
    np.testing.assert_allclose(transformed(images, down=2.0, right=-1.0)[:, 2:, :-1], images[:, :-2, 1:], atol=1e-6)
    np.testing.assert_allclose(transformed(images, down=2.0)[:, :2], np.repeat(images[:, :1], 2, axis=1), atol=1e-6)
    np.testing.assert_allclose(transformed(images, angle=np.pi / 2), np.rot90(images, axes=(1, 2)), atol=1e-5)


def test_a_transformed_plane_is_a_plane():
    rows, columns = np.mgrid[:21, :15].astype("float32")
    plane = (3 * rows - 2 * columns)[None, ..., None]
    angle, zoom = 0.2, 1.3
    y, x = rows - 10, columns - 7
    source_y = (np.cos(angle) * y + np.sin(angle) * x) / zoom + 10 - 1.5
    source_x = (np.cos(angle) * x - np.sin(angle) * y) / zoom + 7 + 0.25
    inside = (source_y >= 0) & (source_y <= 20) & (source_x >= 0) & (source_x <= 14)
    found = transformed(plane, angle, zoom, 1.5, -0.25)[0, ..., 0]
    np.testing.assert_allclose(found[inside], (3 * source_y - 2 * source_x)[inside], atol=1e-4)
    assert inside.mean() > 0.8


def test_the_gradient_of_the_total_variation_is_that_of_finite_differences():
    def variation(image):
        down, right = np.diff(image, axis=0, append=image[-1:]), np.diff(image, axis=1, append=image[:, -1:])
        return np.sqrt(down**2 + right**2).sum()

    images = RANDOM.normal(size=(2, 4, 5, 3))
    expected = np.zeros_like(images)
    for place in np.ndindex(images.shape):
        nudge = np.zeros_like(images)
        nudge[place] = 1e-5
        expected[place] = (variation((images + nudge)[place[0]]) - variation((images - nudge)[place[0]])) / 2e-5
    found = array(total_variation_gradient(ops.convert_to_tensor(images.astype("float32"))))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert not array(total_variation_gradient(ops.ones((1, 3, 3, 1)))).any()
