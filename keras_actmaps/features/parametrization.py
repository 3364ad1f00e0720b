"""Parametrizations of images by pixels or by Fourier coefficients in decorrelated colors, and transformations."""

import numpy as np
from keras import ops

from keras_actmaps.core.types import Array, Tensor

# The square root of ImageNet's color covariance, its longest column 1 (Olah et al. 2017; published with lucid).
COLOR_CORRELATION = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], "float32")
COLOR_CORRELATION /= np.linalg.norm(COLOR_CORRELATION, axis=0).max()


def decode(values: Tensor, base: Tensor, bounds: tuple[float, float], parametrization: str) -> Tensor:
    """Images low + (high - low) sigmoid(base + change), which lie within the bounds for any values.

    Parameters
    ----------
    values : tensor of shape (K, C, H, W)
        Optimized parameters. The change is the values themselves ("pixels"), or the image with these scaled Fourier
        coefficients, whose three channels are correlated as in photographs ("fourier", Olah et al. 2017).
    base : tensor of shape (K, H, W, C)
        Logits of the initial images, as `encode` returns them.
    bounds : tuple of float
        The lowest and the highest value of an image.
    parametrization : {"fourier", "pixels"}

    Returns
    -------
    tensor of shape (K, H, W, C)
    """
    change = values if parametrization == "pixels" else inverse_spectrum(values)
    change = ops.transpose(change, (0, 2, 3, 1))
    if parametrization == "fourier" and change.shape[-1] == 3:
        change = ops.matmul(change, COLOR_CORRELATION.T)
    low, high = bounds
    return ops.clip(low + (high - low) * ops.sigmoid(base + change), low, high)  # rounding could exceed the bounds


def encode(images: Array, bounds: tuple[float, float], margin: float = 0.01) -> Array:
    """The base of images for `decode`: logits of their values as fractions of the bounds, margin to 1 - margin."""
    low, high = bounds
    fractions = np.clip((images - low) / (high - low), margin, 1 - margin)
    return np.log(fractions / (1 - fractions)).astype("float32")


def inverse_spectrum(values: Tensor) -> Tensor:
    """Images of which values (K, C, H, W) are the scaled coefficients of a two-dimensional Hartley transform.

    x_ij = sum_uv s_uv z_uv cas(2 pi i u / H) cas(2 pi j v / W) / sqrt(H W), with cas = cos + sin. The scales s_uv fall
    as 1 / frequency, as the spectra of natural images do, and their mean square is 1.
    """
    height, width = values.shape[2:]
    scales = ops.convert_to_tensor(spectrum_scales(height, width))
    return ops.matmul(ops.matmul(hartley_matrix(height), scales * values), hartley_matrix(width))


def hartley_matrix(side: int) -> Array:
    """The orthonormal Hartley matrix (side, side), which is symmetric and its own inverse."""
    angles = 2 * np.pi * np.outer(np.arange(side), np.arange(side)) / side
    return ((np.cos(angles) + np.sin(angles)) / np.sqrt(side)).astype("float32")


def spectrum_scales(height: int, width: int) -> Array:
    """1 / frequency (height, width) in cycles per pixel, at zero that of one cycle per image; the mean square is 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    inverse = 1 / np.maximum(frequency, 1 / max(height, width))
    return (inverse / np.sqrt(np.mean(inverse**2))).astype("float32")


def transform(images: Tensor, angle: Tensor, zoom: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Images (K, H, W, C) rotated (radians) and zoomed about their center and shifted (pixels), with bilinear
    interpolation and repeated edges.
    """
    count, height, width, channels = images.shape
    rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    rows, columns = (ops.convert_to_tensor(offsets.astype("float32")) for offsets in (rows[:, None], columns[None]))
    sine, cosine = ops.sin(angle) / zoom, ops.cos(angle) / zoom
    y = ops.clip(cosine * rows + sine * columns + (height - 1) / 2 - down, 0, height - 1)
    x = ops.clip(cosine * columns - sine * rows + (width - 1) / 2 - right, 0, width - 1)
    top, left = ops.floor(y), ops.floor(x)
    dy, dx = y - top, x - left
    rows = ops.stack([top, top, top + 1, top + 1])
    columns = ops.stack([left, left + 1, left, left + 1])
    weights = ops.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx])
    positions = ops.minimum(rows, height - 1) * width + ops.minimum(columns, width - 1)
    pixels = ops.reshape(ops.transpose(images, (1, 2, 0, 3)), (height * width, count * channels))
    corners = ops.take(pixels, ops.reshape(ops.cast(positions, "int32"), (-1,)), axis=0) * ops.reshape(weights, (-1, 1))
    interpolated = ops.sum(ops.reshape(corners, (4, height, width, count, channels)), axis=0)
    return ops.transpose(interpolated, (2, 0, 1, 3))


def total_variation_gradient(images: Tensor) -> Tensor:
    """The gradient (K, H, W, C) of sum_ij |(x_i+1,j - x_ij, x_i,j+1 - x_ij)| of each channel."""
    last_row, last_column = ops.zeros_like(images[:, :1]), ops.zeros_like(images[:, :, :1])
    down = ops.concatenate([images[:, 1:] - images[:, :-1], last_row], axis=1)
    right = ops.concatenate([images[:, :, 1:] - images[:, :, :-1], last_column], axis=2)
    inverse_length = ops.rsqrt(down**2 + right**2 + 1e-8)
    down, right = down * inverse_length, right * inverse_length
    above = ops.concatenate([last_row, down[:, :-1]], axis=1)
    before = ops.concatenate([last_column, right[:, :, :-1]], axis=2)
    return above - down + before - right
