"""What an image is painted with, pixels or Fourier waves in decorrelated colours, and how it is looked at."""

import numpy as np
from keras import ops

PAINTS = ("fourier", "pixels")
# The square root of ImageNet's colour covariance, its longest column 1 (Olah et al. 2017; published with lucid).
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], "float32")
COLOURS /= np.linalg.norm(COLOURS, axis=0).max()


def paint(values, base, bounds: tuple[float, float], parametrisation: str):
    """low + (high - low) sigmoid(base + change): images (K,H,W,C) inside the bounds, whatever the values (K,C,H,W).

    The change is the values themselves ("pixels"), or their sum of waves, the lower the stronger, in colours that are
    as much alike as those of photographs ("fourier", Olah et al. 2017). Of one channel the colour is left alone.
    """
    change = values if parametrisation == "pixels" else waves(values)
    change = ops.transpose(change, (0, 2, 3, 1))
    if parametrisation == "fourier" and change.shape[-1] == 3:
        change = ops.matmul(change, COLOURS.T)
    low, high = bounds
    return ops.clip(low + (high - low) * ops.sigmoid(base + change), low, high)  # which rounding could leave


def unpainted(images: np.ndarray, bounds: tuple[float, float], margin: float = 0.01) -> np.ndarray:
    """The base of images: the logits of their places between the bounds, from which they keep a slight distance."""
    low, high = bounds
    places = np.clip((images - low) / (high - low), margin, 1 - margin)
    return np.log(places / (1 - places)).astype("float32")


def waves(values):
    """values (K,C,H,W) -> sums of waves: the two-dimensional Hartley transform, the Fourier transform of real numbers.

    x_ij = sum_uv s_uv z_uv cas(2 pi i u / H) cas(2 pi j v / W) / sqrt(H W), cas = cos + sin, and s_uv falls as
    1 / frequency, which makes all values of natural images about equally large; its mean square is 1.
    """
    height, width = values.shape[2:]
    strengths = ops.convert_to_tensor(amplitudes(height, width))
    return ops.matmul(ops.matmul(hartley(height), strengths * values), hartley(width))


def hartley(side: int) -> np.ndarray:
    """The orthonormal Hartley matrix (side, side): symmetric, its own inverse."""
    angles = 2 * np.pi * np.outer(np.arange(side), np.arange(side)) / side
    return ((np.cos(angles) + np.sin(angles)) / np.sqrt(side)).astype("float32")


def amplitudes(height: int, width: int) -> np.ndarray:
    """(height, width): 1 / frequency in waves a pixel, and for the mean that of one wave an image; of mean square 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    inverse = 1 / np.maximum(frequency, 1 / max(height, width))
    return (inverse / np.sqrt(np.mean(inverse**2))).astype("float32")


def viewed(images, turn, zoom, down, right):
    """images (K,H,W,C) turned (radians), zoomed and shifted (pixels) about their centre, bilinear, edges held."""
    count, height, width, channels = images.shape
    rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    rows, columns = (ops.convert_to_tensor(places.astype("float32")) for places in (rows[:, None], columns[None]))
    across, along = ops.sin(turn) / zoom, ops.cos(turn) / zoom
    y = ops.clip(along * rows + across * columns + (height - 1) / 2 - down, 0, height - 1)
    x = ops.clip(along * columns - across * rows + (width - 1) / 2 - right, 0, width - 1)
    top, left = ops.floor(y), ops.floor(x)
    below, beside = y - top, x - left
    rows = ops.stack([top, top, top + 1, top + 1])
    columns = ops.stack([left, left + 1, left, left + 1])
    shares = ops.stack([(1 - below) * (1 - beside), (1 - below) * beside, below * (1 - beside), below * beside])
    places = ops.minimum(rows, height - 1) * width + ops.minimum(columns, width - 1)
    pixels = ops.reshape(ops.transpose(images, (1, 2, 0, 3)), (height * width, count * channels))
    taken = ops.take(pixels, ops.reshape(ops.cast(places, "int32"), (-1,)), axis=0) * ops.reshape(shares, (-1, 1))
    seen = ops.sum(ops.reshape(taken, (4, height, width, count, channels)), axis=0)
    return ops.transpose(seen, (2, 0, 1, 3))


def roughness(images):
    """The gradient (K,H,W,C) of the total variation, sum_ij |(x_i+1,j - x_ij, x_i,j+1 - x_ij)|, of each channel."""
    last_row, last_column = ops.zeros_like(images[:, :1]), ops.zeros_like(images[:, :, :1])
    down = ops.concatenate([images[:, 1:] - images[:, :-1], last_row], axis=1)
    right = ops.concatenate([images[:, :, 1:] - images[:, :, :-1], last_column], axis=2)
    shorter = ops.rsqrt(down**2 + right**2 + 1e-8)
    down, right = down * shorter, right * shorter
    above = ops.concatenate([last_row, down[:, :-1]], axis=1)
    before = ops.concatenate([last_column, right[:, :, :-1]], axis=2)
    return above - down + before - right
