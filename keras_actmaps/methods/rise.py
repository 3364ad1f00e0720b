"""RISE: the mean of random masks, weighted by the scores of what they let through."""

import numpy as np

from keras_actmaps.methods.baselines import baseline_for
from keras_actmaps.methods.kinds import check_count, check_seed, many_passes
from keras_actmaps.methods.masking import check_share, masked_scores, per_axis, space_of
from keras_actmaps.resize import resize


def _check(probe, images, *, samples, cells, probability, centred, fill, seed):
    check_count("samples", samples)
    check_seed(seed)
    per_axis("cells", cells, space_of(images))
    check_share("probability", probability)
    baseline_for(images[:1], fill)


@many_passes(_check)
def rise(probe, images, targets, *, samples=2000, cells=7, probability=0.5, centred=True, fill="zero", seed=0):
    """The mean score of the images in which a pixel is seen (Petsiuk et al. 2018, eq. 6).

    S(p) = sum_i (Y(M_i x) - m) M_i(p) / (samples * probability), M_i as in `random_masks`. The paper has m = 0, for
    probabilities. For logits, whose zero is arbitrary, m is the mean score, and S is positive where seeing the pixel
    raises it: E[Y | p seen] - E[Y]. centred=False gives the paper's. images (N,H,W,C) -> (N,H,W).

    samples: the paper takes 4000 to 8000. cells: of the grid, along an axis. probability: that a cell is seen.
    fill: what hides, as the baseline of `baseline_for`. All images get the same masks.
    Cost: `samples` forward passes.
    Fails: is noisy with few samples, and blind to what is smaller than a cell.
    """
    masks = random_masks(images, samples, cells, probability, seed)
    scores = masked_scores(probe, images, targets, samples, lambda _, sample: masks(sample), fill)
    if centred:
        scores -= scores.mean(axis=1, keepdims=True)
    maps = np.zeros(images.shape[:1] + space_of(images))
    for first in range(0, samples, probe.batch_size):
        block = np.arange(first, min(first + probe.batch_size, samples))
        maps += np.tensordot(scores[:, block], masks(block), axes=1)
    return (maps / (samples * probability)).astype("float32")


def random_masks(images, samples: int, cells, probability: float, seed: int):
    """A function: numbers (M,) -> the masks (M,H,W) of these numbers (Petsiuk et al. 2018, section 3.2).

    A grid of `cells`, each 1 with `probability`, is enlarged bilinearly to one cell more than the image and cropped at
    a random place, so that every pixel's expectation is `probability`. The features of a table are drawn one by one.
    """
    space = space_of(images)
    grid = space if images.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    cell = np.array([-(-side // count) for side, count in zip(space, grid)])
    large = space if images.ndim == 2 else tuple((np.array(grid) + 1) * cell)
    random = np.random.default_rng(seed)
    grids = (random.random((samples, *grid)) < probability).astype("float32")
    corners = random.integers(0, cell, (samples, len(space)))

    def masks(numbers):
        numbers, place = np.unique(numbers, return_inverse=True)
        enlarged = resize(grids[numbers], large)
        crops = (
            mask[tuple(slice(first, first + side) for first, side in zip(corner, space))]
            for mask, corner in zip(enlarged, corners[numbers])
        )
        return np.stack(list(crops))[place]

    return masks
