"""Metrics of maps, one family per module. METRICS is the table of those with one value per image.

A metric is a function `(model, images, explanation, *, ...)`, `(explanation, masks, *, ...)`, `(explanation, boxes, *,
...)` or `(explanation, *, ...)` that returns float64 (N,); see `METRICS[name].requires`, and `METRICS[name].better` for
whether higher or lower values are better. In addition, `spearman`, `ssim` and `top_k_overlap` compare two Explanations,
`deletion_curve`, `insertion_curve` and `road_curve` return (N, points), `comprehensiveness`, `sufficiency` and
`leave_one_out_tau` are of token ids (in TEXT_METRICS, whose names `kam.compare` takes too), and
`parameter_randomisation` tests a method rather than a map.

Common parameters
-----------------
model : keras.Model, torch.nn.Module or Probe
    A Probe is compiled once per metric and batch size.
images : array of shape (N, ...)
    The explained images, in the layout of `model.predict`.
explanation : Explanation
    With one map per image, at the size of the images.
score : {"logit", "softmax", "sigmoid"}
    Measured score of the target: the output without its softmax or sigmoid; its softmax over the classes, which leaves
    a single output and the value of a target function unchanged; or its sigmoid.
fill : {"zero", "mean", "blur"}, float or array
    What replaces hidden pixels: black, each channel's mean over the image, a Gaussian blur a tenth of each side wide, a
    number, or an image.
patch : int or tuple of int
    Side of the patches that are hidden as a whole, or (height, width); 1 is a pixel with all its channels. The
    attribution of a patch is the mean of its pixels'. Ties are broken by position, row by row.
samples, seed : int
    Random draws, the same for all images, and their seed.
targets : None, int, array or callable
    None uses those of the explanation; pass the function again if a function of the outputs was explained. Of a
    `kam.targets.Box`, the measured score is the one that the method explains: the logit at the box's anchor for methods
    with gradients, the similarity to the detections for the others.
batch_size : int
    Maximum number of images in memory at a time; all batches are padded to it, so that one shape is compiled.

Maps that do not fit the images, maps of several targets and invalid settings raise ValueError before any computation.
Every metric is defined for a constant map; NaN is returned only where the documentation of a metric says so, as for an
image without a mask or a box.
"""

from keras_actmaps.metrics import (
    additivity,
    average_precision,
    box_localization,
    coherence,
    complexity,
    curve_areas,
    drops,
    fidelity,
    imputation,
    information_curves,
    localization,
    other_classes,
    relative_stability,
    robustness,
    roc,
    segment_removal,
    texts,
)
from keras_actmaps.metrics.additivity import completeness_gap, infidelity, sensitivity_n
from keras_actmaps.metrics.agreement import spearman, ssim, top_k_overlap
from keras_actmaps.metrics.average_precision import pixel_average_precision
from keras_actmaps.metrics.box_localization import box_iou, max_box_accuracy
from keras_actmaps.metrics.coherence import coherency
from keras_actmaps.metrics.complexity import effective_complexity, entropy, sparseness
from keras_actmaps.metrics.curve_areas import deletion, insertion, pixel_flipping
from keras_actmaps.metrics.curves import deletion_curve, insertion_curve
from keras_actmaps.metrics.drops import average_drop, average_gain, increase_in_confidence
from keras_actmaps.metrics.fidelity import mu_fidelity
from keras_actmaps.metrics.imputation import road, road_curve
from keras_actmaps.metrics.information_curves import pic
from keras_actmaps.metrics.localization import energy_pointing, mass_accuracy, pointing_game, rank_accuracy
from keras_actmaps.metrics.other_classes import random_logit
from keras_actmaps.metrics.registry import METRICS, TEXT_METRICS, Metric, find_metric
from keras_actmaps.metrics.relative_stability import relative_input_stability
from keras_actmaps.metrics.robustness import local_lipschitz, max_sensitivity
from keras_actmaps.metrics.roc import roc_auc
from keras_actmaps.metrics.sanity import Randomisation, parameter_randomisation
from keras_actmaps.metrics.segment_removal import irof
from keras_actmaps.metrics.texts import comprehensiveness, leave_one_out_tau, sufficiency

FAMILIES = (
    curve_areas,
    imputation,
    information_curves,
    segment_removal,
    drops,
    additivity,
    fidelity,
    robustness,
    relative_stability,
    coherence,
    other_classes,
    localization,
    roc,
    average_precision,
    box_localization,
    complexity,
)
METRICS.update({metric.name: metric for family in FAMILIES for metric in family.RECORDS})
TEXT_METRICS.update({metric.name: metric for metric in texts.RECORDS})
