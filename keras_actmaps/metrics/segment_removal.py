"""IROF: the area over the curve of the score as segments of the image are removed in the order of the map."""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import PerAxis
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.methods._segments import CELLS, Segments, segment
from keras_actmaps.metrics._inputs import target_scores, validate_inputs
from keras_actmaps.metrics.registry import BatchSize, Metric, Score, validated


@validated
def irof(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    segments: Segments = "superpixels",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "mean",
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Area over the curve as segments are removed, the most important first (iterative removal of features).

    mean_k 1 - (Y_k-1 + Y_k) / (2 Y_0) over the steps k = 1, ..., L, with Y_k the score without the k segments of the
    highest mean attribution (Rieger and Hansen 2020), by trapezoids; a mean rather than a sum, so that images with
    different numbers L of segments compare. In the paper Y is the probability, and SLIC's segments are replaced by the
    mean color.

    Parameters
    ----------
    segments : {"superpixels", "slic", "grid"}, array or callable
        "superpixels" need no further package; "slic" are scikit-image's; "grid" has equal cells; an array (H, W) has
        integer labels for all images; a function maps an image (H, W, C) to its labels.
    cells : int or tuple of int
        Number of segments along each axis. Of a table each feature is a segment.
    model, images, explanation, fill, score, targets, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)
        Negative where the score rises as the segments are removed; 0 where Y_0 is 0.

    Raises
    ------
    ValueError
        Where the score Y_0 is negative, as logits may be, for segments that do not fit, and for settings and inputs
        that do not fit.
    ImportError
        For "slic" without scikit-image.

    Notes
    -----
    One forward pass per segment and image, and one more. Depends on the segments: one that mixes an object with its
    background hides both.
    """
    traced, images, maps, targets, context = validate_inputs(model, images, explanation, targets, batch_size)
    labels = segment(images, segments, cells)
    counts = labels.reshape(len(labels), -1).max(axis=1, initial=0) + 1
    ranks = np.stack([_segment_ranks(one, label) for one, label in zip(maps, labels)]) if len(maps) else labels

    def masks(which: Array, sample: Array) -> Array:
        return ranks[which] >= sample.reshape(-1, *(1,) * (ranks.ndim - 1))

    steps = int(counts.max(initial=0)) + 1
    scores = masked_scores(traced, images, targets, steps, masks, fill, context, target_scores, score=score)
    return np.array([_area_over(curve[: count + 1], n) for n, (curve, count) in enumerate(zip(scores, counts))])


def _segment_ranks(values: Array, labels: Array) -> Array:
    """The rank (H, W) of the segment of each position, 0 for the highest mean; ties by number."""
    flat = labels.ravel()
    means = np.bincount(flat, values.ravel()) / np.maximum(np.bincount(flat), 1)
    return np.argsort(np.argsort(-means, kind="stable"))[labels]


def _area_over(curve: Array, number: int) -> float:
    """The mean of 1 - curve / curve[0] by trapezoids; ValueError for a negative start."""
    if curve[0] < 0:
        raise ValueError(
            f"image {number} has the score {curve[0]:.3g}, and a share of a negative score is not defined; use "
            "score='softmax' or 'sigmoid'"
        )
    return float(1 - (curve[:-1] + curve[1:]).mean() / (2 * curve[0])) if curve[0] else 0.0


RECORDS = (
    Metric(
        name="irof",
        function=irof,
        better="higher",
        requires=frozenset({"model"}),
        summary="Mean share of the score that is lost as segments are removed, the most important first",
        paper="Rieger & Hansen 2020",
        cost="One forward pass per segment, and one more.",
        limitations="depends on the segments; images without segments are unlike those the model was trained on.",
    ),
)
