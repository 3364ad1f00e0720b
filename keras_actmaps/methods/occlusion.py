"""Occlusion: the drop in score where a patch hides the image."""

import itertools

import numpy as np

from keras_actmaps.methods.baselines import baseline_for
from keras_actmaps.methods.kinds import many_passes
from keras_actmaps.methods.masking import masked_scores, per_axis, space_of

PARTS = 8  # patches along an axis, where no size is given


def _check(probe, images, *, patch, stride, fill):
    windows(images, patch, stride)
    baseline_for(images[:1], fill)


@many_passes(_check)
def occlusion(probe, images, targets, *, patch=None, stride=None, fill="zero"):
    """How much the score drops when a patch is hidden (Zeiler & Fergus 2014, section 4.2).

    S(p) = mean, over the patches R that hold p, of Y(x) - Y(x with R filled). The last patch along an axis is moved
    back to end at the border. images (N,H,W,C) -> (N,H,W).

    patch: its side, or (height, width); by default an eighth of each side, one feature of a table. stride: the step
    from patch to patch, at most a patch; by default half of it. fill: as the baseline of `baseline_for`.
    Cost: a forward pass a patch; by default 225 an image, some more where the patch has an odd side.
    Fails: hides one place at a time, so evidence that is there twice goes unseen; the patch is itself a sight.
    """
    patches = windows(images, patch, stride)
    space = space_of(images)

    def masks(_, sample):
        kept = np.ones((len(sample), *space), "float32")
        for mask, number in zip(kept, sample):
            if number:
                mask[patches[number - 1]] = 0
        return kept

    scores = masked_scores(probe, images, targets, 1 + len(patches), masks, fill)
    drops, counts = np.zeros((*space, len(images))), np.zeros((*space, 1))
    for hidden, drop in zip(patches, scores[:, 0] - scores.T[1:]):
        drops[hidden] += drop
        counts[hidden] += 1
    return np.moveaxis(drops / counts, -1, 0).astype("float32")


def windows(images: np.ndarray, patch=None, stride=None) -> list[tuple[slice, ...]]:
    """The patches that cover an image, row by row. ValueError where they do not fit or would leave gaps."""
    space = space_of(images)
    if patch is None:
        patch = tuple(1 if images.ndim == 2 else max(1, side // PARTS) for side in space)
    sides = per_axis("patch", patch, space)
    steps = tuple(max(1, side // 2) for side in sides) if stride is None else per_axis("stride", stride, space)
    if any(side > whole for side, whole in zip(sides, space)):
        raise ValueError(f"patch={patch} is larger than the image, which is {space}")
    if any(step > side for step, side in zip(steps, sides)):
        raise ValueError(f"stride={stride} is larger than the patch {sides} and would leave gaps")
    rows = (
        [slice(first, first + side) for first in (*range(0, whole - side, step), whole - side)]
        for whole, side, step in zip(space, sides, steps)
    )
    return list(itertools.product(*rows))
