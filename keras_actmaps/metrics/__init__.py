"""Metrics, one family a file; METRICS names those that give a number an image.

A metric of faithfulness or robustness is a function `(model, images, explanation, *, setting=default, ...) -> (N,)`:

- model: a Keras model, or a Probe, which is compiled once for each metric and batch size;
- images: (N, ...) as `model.predict` takes them, those that were explained;
- explanation: an Explanation with one map an image, at the size of the images; of K targets, one at a time;
- (N,): float, one number an image; its mark `better` says "higher" or "lower". A curve has (N, points).

A metric of localisation is a function `(explanation, masks, *, ...)` or `(explanation, boxes, *, ...)`, one of
complexity `(explanation)`; so the names of the first parameters say what a metric needs. Two Explanations are compared
by `spearman`, `ssim` and `top_k_overlap`, a method is put to the test by `parameter_randomisation`.

Settings that several have:

- score: what is measured of the target: "logit", the output without its softmax or sigmoid; "softmax", its probability
  among the classes, which leaves a single output, and what a function makes of the outputs, as they are; "sigmoid".
- fill: what hides a place, as the baseline of `methods.baselines.baseline_for`: "zero", "mean", "blur", ...
- patch: the side of what is hidden as a whole, or (height, width); 1 = a pixel with all its channels. A patch's
  attribution is the mean of its pixels'. Equal patches are taken in the order of their places, row by row.
- samples, seed: how many random draws, the same for all images, and what they begin with.
- targets: None = those of the explanation; the function again where a function of the outputs was explained.
- batch_size: the most images in memory; all batches are padded to it, so that one shape is compiled.

Maps that do not fit the images, and more than one map an image, are a ValueError before any work. A constant map has a
defined value in each metric; none gives NaN, but for an image whose mask is empty or which has no box.
"""

from keras_actmaps.metrics.additivity import completeness_gap, infidelity, sensitivity_n
from keras_actmaps.metrics.agreement import spearman, ssim, top_k_overlap
from keras_actmaps.metrics.complexity import entropy, sparseness
from keras_actmaps.metrics.curves import deletion, deletion_curve, insertion, insertion_curve, pixel_flipping
from keras_actmaps.metrics.drops import average_drop, increase_in_confidence
from keras_actmaps.metrics.imputation import road, road_curve
from keras_actmaps.metrics.localisation import (
    box_iou,
    energy_pointing,
    mass_accuracy,
    max_box_accuracy,
    pixel_average_precision,
    pointing_game,
    rank_accuracy,
)
from keras_actmaps.metrics.robustness import local_lipschitz, max_sensitivity
from keras_actmaps.metrics.sanity import Randomisation, parameter_randomisation

METRICS = {
    "deletion": deletion,
    "insertion": insertion,
    "pixel_flipping": pixel_flipping,
    "road": road,
    "average_drop": average_drop,
    "increase_in_confidence": increase_in_confidence,
    "sensitivity_n": sensitivity_n,
    "infidelity": infidelity,
    "completeness_gap": completeness_gap,
    "max_sensitivity": max_sensitivity,
    "local_lipschitz": local_lipschitz,
    "pointing_game": pointing_game,
    "energy_pointing": energy_pointing,
    "mass_accuracy": mass_accuracy,
    "rank_accuracy": rank_accuracy,
    "pixel_average_precision": pixel_average_precision,
    "box_iou": box_iou,
    "max_box_accuracy": max_box_accuracy,
    "sparseness": sparseness,
    "entropy": entropy,
}


def named(metric: str):
    """The metric of that name; ValueError names the choices."""
    if metric not in METRICS:
        raise ValueError(f"no metric {metric!r}; there are: {', '.join(METRICS)}")
    return METRICS[metric]
