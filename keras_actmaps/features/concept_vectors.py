"""TCAV: whether a class is sensitive to a concept that is given by example images."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t

from keras_actmaps import backend
from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.batching import even_batch_size, padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.optional import require_sklearn
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import show
from keras_actmaps.core.traced_model import TracedModel, features_only
from keras_actmaps.core.types import Array, Tensor

FEWEST_SETS = 10
LEVEL = 0.05


class Sensitivity(NamedTuple):
    """How sensitive a class is to a concept.

    Attributes
    ----------
    scores : float64 array of shape (R,)
        Share of the images of the class whose logit rises along the concept, for each random set.
    random_scores : float64 array of shape (R,)
        For each random set in the place of the concept, the mean score against all others.
    p_value : float
        Of a two-sided t-test of the mean score as one more of the random ones, times the number of concepts
        (Bonferroni), at most 1.
    """

    scores: Array
    random_scores: Array
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the concept differs from random images at the level 0.05; the scores mean nothing otherwise."""
        return self.p_value < LEVEL


def tcav(
    model: Any,
    concepts: Mapping[str, Any],
    random_sets: Sequence[Any],
    images: Any,
    target: int,
    layer: Any = None,
    batch_size: int = 32,
) -> dict[str, Sensitivity]:
    """Test with concept activation vectors (Kim et al. 2018, eq. 1 and 2).

    v is the normal of a linear classifier between the features of a concept and of a random set; the score is the share
    of images x of the class with grad h(f(x)) . v > 0.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module or Probe
    concepts : mapping of str to array of shape (n, H, W, C)
        Example images of each concept.
    random_sets : sequence of arrays of shape (n, H, W, C)
        At least 10 sets of images without the concepts. Each is a counterpart of the concepts, and of the other sets.
    images : array of shape (N, H, W, C)
        Images of the class.
    target : int
    layer : str, int or None
        A layer with a spatial output; None is the last one.
    batch_size : int

    Returns
    -------
    dict of str to Sensitivity

    Raises
    ------
    ValueError
        For fewer than 10 random sets, without which a score cannot be told from chance, and inputs that do not fit.
    ImportError
        Without scikit-learn.

    Notes
    -----
    The classifiers are scikit-learn's logistic regression of standardized features. The paper compares the R scores of
    a concept with R random ones; but the former share the images of the concept, so that any set of images differs
    significantly if R is large enough. Here the concept counts once.
    """
    if len(random_sets) < FEWEST_SETS:
        raise ValueError(f"random_sets must be at least {FEWEST_SETS} sets of images, got {len(random_sets)}")
    if not concepts:
        raise ValueError("concepts must be a mapping from names to images, got none")
    require_sklearn("linear_model")
    traced = as_traced(model, layer)
    traced.require_one_layer("tcav")
    if not isinstance(target, (int, np.integer)):
        raise ValueError(f"target must be a class, got {show(target)}")
    gradients = _at_layer(traced, _gradients, images, int(target), batch_size)
    random = [_at_layer(traced, features_only, one, None, batch_size) for one in random_sets]
    chance = _random_scores(random, gradients)
    found = {}
    for name, examples in concepts.items():
        own = _at_layer(traced, features_only, examples, None, batch_size)
        scores = np.array([_score(own, one, gradients) for one in random])
        found[name] = Sensitivity(scores, chance, _p_value(scores.mean(), chance, len(concepts)))
    return found


def _random_scores(random: Sequence[Array], gradients: Array) -> Array:
    """The mean score (R,) of each random set in the place of the concept, against all others."""
    count = len(random)
    scores = np.full((count, count), np.nan)
    for first in range(count):
        for second in range(first):
            scores[first, second] = _score(random[first], random[second], gradients)
            scores[second, first] = 1 - scores[first, second]  # the vector points the other way
    return np.nanmean(scores, axis=1)


def _p_value(score: float, chance: Array, count: int) -> float:
    """Two-sided t-test of one more value of a normal sample, times the number of tests."""
    spread = chance.std(ddof=1) * np.sqrt(1 + 1 / len(chance))
    if not spread:
        return float(score == chance[0])
    return min(1.0, count * 2 * float(t.sf(abs(score - chance.mean()) / spread, len(chance) - 1)))


def _score(concept: Array, counterpart: Array, gradients: Array) -> float:
    """The share of gradients (N, F) with a positive component along the concept."""
    return float((gradients @ concept_vector(concept, counterpart) > 0).mean())


def concept_vector(concept: Array, counterpart: Array) -> Array:
    """The unit normal (F,) of a linear classifier between features (n, F), which points to the concept."""
    features = np.concatenate([concept, counterpart]).astype("float64")
    labels = np.arange(len(features)) < len(concept)
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    classifier = require_sklearn("linear_model").LogisticRegression(max_iter=1000)
    vector = classifier.fit((features - center) / scale, labels).coef_[0] / scale
    length = np.linalg.norm(vector)
    return vector / (length or 1)


def _gradients(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """The gradients at the layer."""
    return traced.map_at_layer(inputs, targets, lambda features, gradients: gradients)


def _at_layer(traced: TracedModel, function: Any, images: Any, target: int | None, batch_size: int) -> Array:
    """Features or gradients of images, flattened to (N, F)."""
    inputs = traced.validate_inputs(images)
    size, parts = even_batch_size(batch_size, len(inputs)), []
    for (batch,), real in padded_batches([inputs], size):
        targets = traced.validate_targets(target, len(batch))
        found, _, _ = traced.run(function, batch, targets, context=RunContext(batch_size, size))
        parts.append(backend.to_numpy(found)[:real].reshape(real, -1))
    return np.concatenate(parts)
