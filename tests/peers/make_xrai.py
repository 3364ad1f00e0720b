"""Computes what PAIR's package `saliency` makes of attributions and segments by XRAI and writes xrai.npz. Run by hand:

pip install --no-deps saliency==0.2.1 && pip install scikit-image==0.26.0 && python tests/peers/make_xrai.py

Keys: attributions (2, H, W, C) and masks (2, M, H, W), which overlap and leave pixels out; `full/least` and
`fast/least`, the maps (2, H, W) of regions that add at least so many pixels; images (2, H, W, C), weights (H, W, C) of
a linear network and `linear/mode`, its maps with PAIR's own integrated gradients and baselines; photo (H, W, C) and its
labels (6, H, W) by Felzenszwalb's algorithm.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np

SHAPE = (20, 17, 3)
LEAST = (1, 6)
MODES = ("full", "fast")


def attributions() -> np.ndarray:
    """Noise on a wave, of both signs."""
    random = np.random.default_rng(0)
    wave = np.add.outer(np.sin(np.arange(SHAPE[0]) / 3), np.cos(np.arange(SHAPE[1]) / 4))
    return wave[..., None] * random.normal(size=(2, 1, 1, SHAPE[2])) + random.normal(0, 0.3, (2, *SHAPE))


def masks() -> np.ndarray:
    """Random rectangles; some lie in others, some are equal in size, and no mask covers the last row."""
    random = np.random.default_rng(1)
    found = np.zeros((2, 40, *SHAPE[:2]), bool)
    for mask in found.reshape(-1, *SHAPE[:2]):
        top, left = random.integers(0, SHAPE[0] - 2), random.integers(0, SHAPE[1] - 1)
        height, width = random.integers(1, 9, 2)
        mask[top : min(top + height, SHAPE[0] - 1), left : left + width] = True
    return found


def linear() -> tuple[np.ndarray, np.ndarray]:
    """Images and the weights of a linear network."""
    random = np.random.default_rng(2)
    return random.normal(size=(2, *SHAPE)).astype("float32"), random.normal(size=SHAPE).astype("float32")


def photo() -> np.ndarray:
    """An image of a few blurred shapes, float32 (40, 32, 3)."""
    y, x = np.mgrid[:40, :32]
    shapes = [(y > 20) * 1.0, np.hypot(y - 15, x - 12) < 9, np.hypot(y - 30, x - 24) < 5]
    noise = np.random.default_rng(3).normal(0, 0.02, (40, 32, 3))
    return (np.stack(shapes, axis=-1) * (0.6, 0.9, 0.4) + noise).astype("float32")


def ranked(values: np.ndarray, regions: np.ndarray, mode: str, least: int) -> np.ndarray:
    """PAIR's map of attributions (H, W, C) by boolean masks (M, H, W)."""
    from saliency.core.xrai import XRAI, XRAIParameters

    parameters = XRAIParameters(algorithm=mode)
    parameters.experimental_params["min_pixel_diff"] = least
    return XRAI().GetMask(values, None, segments=list(regions), base_attribution=values, extra_parameters=parameters)


def explained(image: np.ndarray, weights: np.ndarray, regions: np.ndarray, mode: str) -> np.ndarray:
    """PAIR's map of a linear network, with its own integrated gradients."""
    from saliency.core.base import INPUT_OUTPUT_GRADIENTS
    from saliency.core.xrai import XRAI, XRAIParameters

    def model(batch: np.ndarray, call_model_args: object = None, expected_keys: object = None) -> dict:
        return {INPUT_OUTPUT_GRADIENTS: np.broadcast_to(weights, batch.shape)}

    parameters = XRAIParameters(steps=4, algorithm=mode)
    parameters.experimental_params["min_pixel_diff"] = 1
    return XRAI().GetMask(image, model, segments=list(regions), extra_parameters=parameters)


def labels() -> np.ndarray:
    """PAIR's segments of the photograph, not grown, as numbers of the masks from 0 in each segmentation."""
    from saliency.core.xrai import _get_segments_felzenszwalb

    found, image = [], photo()
    for mask in _get_segments_felzenszwalb(image, dilation_rad=0):
        if not found or (found[-1] >= 0).all():
            found.append(np.full(image.shape[:2], -1))
        found[-1][mask] = found[-1].max() + 1
    return np.stack(found)


def computed() -> dict[str, np.ndarray]:
    """All arrays of xrai.npz that PAIR computes."""
    both, (images, weights) = list(zip(attributions(), masks())), linear()
    found = {f"{mode}/{least}": [ranked(*one, mode, least) for one in both] for mode in MODES for least in LEAST}
    for mode in MODES:
        found[f"linear/{mode}"] = [explained(*one, mode) for one in zip(images, [weights] * 2, masks())]
    return {name: np.stack(arrays) for name, arrays in found.items()} | {"labels": labels().astype("int16")}


def main() -> None:
    """Write xrai.npz."""
    images, weights = linear()
    inputs = {"attributions": attributions(), "masks": masks(), "images": images, "weights": weights, "photo": photo()}
    versions = [f"{name} {version(name)}" for name in ("saliency", "scikit-image")]
    np.savez_compressed(Path(__file__).with_name("xrai.npz"), versions=versions, **inputs, **computed())


if __name__ == "__main__":
    main()
