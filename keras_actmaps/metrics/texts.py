"""Metrics of maps of token ids: comprehensiveness, sufficiency, and agreement with leaving each word out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.attribution import Target
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settle import settle
from keras_actmaps.core.several_inputs import Part
from keras_actmaps.core.tokens import embedding_parts, tokenized
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods._sampling import run_samples
from keras_actmaps.methods._tokens import baselines_by_part, groups_of, tokens_named
from keras_actmaps.metrics._inputs import one_map_per_image, target_scores
from keras_actmaps.metrics.registry import BatchSize, Metric, Score, validated

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
Shares = Annotated[Any, "shares of the words that are removed, or kept"]
TokenBaseline = Annotated[Any, "what replaces words: pad, mask, an id or zero"]
Groups = Annotated[Any, "the number of the word of each token, as for kam.explain"]


@validated
def comprehensiveness(
    model: Any,
    inputs: Any,
    explanation: Explanation,
    *,
    shares: Shares = SHARES,
    baseline: TokenBaseline = "pad",
    groups: Groups = None,
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Mean drop of the score when the most important words are replaced; higher is better.

    mean_k Y(x) - Y(x without its top k words) (DeYoung et al. 2020, eq. 1 and section 4.2, AOPC), k the share of the
    unpadded words, rounded up.

    Parameters
    ----------
    model, explanation, score, targets, batch_size
        See `keras_actmaps.metrics`.
    inputs : array of shape (N, T), or list or dict of arrays
        The token ids that were explained, or strings for a keras_hub model with a preprocessor.
    shares : sequence of float
        Shares of the words, between 0 and 1.
    baseline, groups
        As for `kam.explain`. The mask of a text stays.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For a model that does not take token ids, and for maps and settings that do not fit.
    """
    texts = _Texts.of(model, inputs, explanation, baseline, groups, targets, batch_size)
    drops = texts.drops(len(_checked(shares)), lambda row, number: texts.top(row, shares[number]), score)
    return drops.mean(axis=1)


@validated
def sufficiency(
    model: Any,
    inputs: Any,
    explanation: Explanation,
    *,
    shares: Shares = SHARES,
    baseline: TokenBaseline = "pad",
    groups: Groups = None,
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Mean drop of the score when all but the most important words are replaced; lower is better.

    mean_k Y(x) - Y(the top k words of x) (DeYoung et al. 2020, eq. 2 and section 4.2, AOPC). Parameters and result are
    those of `comprehensiveness`.
    """
    texts = _Texts.of(model, inputs, explanation, baseline, groups, targets, batch_size)
    drops = texts.drops(len(_checked(shares)), lambda row, number: ~texts.top(row, shares[number]), score)
    return drops.mean(axis=1)


@validated
def leave_one_out_tau(
    model: Any,
    inputs: Any,
    explanation: Explanation,
    *,
    baseline: TokenBaseline = "pad",
    groups: Groups = None,
    score: Score = "logit",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Kendall's tau-b of the map and the drop of the score when each word alone is replaced (Jain and Wallace 2019).

    1 for the same order of the words; 0 where all values of one of them are equal. Parameters and result are those of
    `comprehensiveness`.
    """
    texts = _Texts.of(model, inputs, explanation, baseline, groups, targets, batch_size)
    most = max(map(len, texts.words))
    drops = texts.drops(most, lambda row, number: np.arange(len(texts.words[row])) == number, score)
    pairs = zip(texts.values, drops)
    return np.array([kendall_tau(values, drop[: len(values)]) for values, drop in pairs])


def kendall_tau(first: Array, second: Array) -> float:
    """Kendall's tau-b of two rows; 0 where one of them is constant, where scipy.stats.kendalltau is undefined."""
    signs = [np.sign(np.subtract.outer(one, one)) for one in (first, second)]
    norm = np.sqrt(np.prod([np.abs(sign).sum() for sign in signs]))
    return float((signs[0] * signs[1]).sum() / norm) if norm else 0.0


def _checked(shares: Any) -> Sequence[float]:
    array = np.asarray(shares, "float64")
    if array.ndim != 1 or not array.size or (array <= 0).any() or (array > 1).any():
        raise ValueError(f"shares must be numbers above 0 and up to 1, got {shares!r}")
    return shares


@dataclass(frozen=True, eq=False)
class _Texts:
    """Texts, the words of each in any order of their numbers, and what replaces them.

    table, replaced: (N, F), of the texts and of the baseline. groups: (N, T), the word of each token, -1 for none.
    words, values: for each text the numbers of its words, and their values in the map.
    """

    traced: TracedModel
    table: Array
    replaced: Array
    groups: Array
    parts: tuple[Part, ...]
    words: list[Array]
    values: list[Array]
    targets: Any
    context: RunContext

    @classmethod
    def of(
        cls, model: Any, inputs: Any, explanation: Explanation, baseline: Any, groups: Any, targets: Any, size: int
    ) -> "_Texts":
        """Validated; ValueError for what does not fit."""
        inputs = tokenized(model, inputs)
        traced, maps = as_traced(model, inputs=inputs), one_map_per_image(explanation)
        tokens = tokens_named(traced, None) if traced.tokens else None
        if tokens is None:
            raise ValueError(f"this metric replaces words of token ids, which {traced.name!r} does not take")
        table = traced.validate_inputs(inputs)
        found = groups_of(traced, table, tokens, groups)
        if groups is None:
            found = np.where(found >= 0, np.arange(found.shape[1]), -1)
        expected = (len(table), found.shape[1] if groups is None else 1 + found.max())
        if maps.shape != expected:
            raise ValueError(f"maps of shape {maps.shape} do not fit the texts, which need maps of shape {expected}")
        words = [np.unique(row[row >= 0]) for row in found]
        if not all(map(len, words)):
            raise ValueError("a text has no words: all its tokens are padding")
        parts, replaced = embedding_parts(traced.parts, tokens), table.copy()
        for part, value in ((part, baselines_by_part(traced, baseline)[part.name]) for part in parts):
            replaced[:, part.start : part.stop] = baseline_for(part.of(table), value).reshape(len(table), -1)
        if targets is None and explanation.targets is None:
            raise ValueError("the maps explain a function of the outputs; pass it as targets=function")
        targets = traced.validate_targets(explanation.targets if targets is None else targets, len(table))
        context = RunContext(size, size)
        if isinstance(targets, Target):
            targets = settle(traced, table, targets, context)
        values = [row[own] for row, own in zip(maps.astype("float64"), words)]
        return cls(traced, table, replaced, found, parts, words, values, targets, context)

    def top(self, row: int, share: float) -> Array:
        """Whether each word of a text is among this share of the largest values."""
        values = self.values[row]
        chosen = np.argsort(-values, kind="stable")[: int(np.ceil(share * len(values) - 1e-9))]
        return np.isin(np.arange(len(values)), chosen)

    def drops(self, count: int, hidden: Callable[[int, int], Array], score: str) -> Array:
        """Y(x) - Y(x without the words `hidden(text, number)`) for `count` numbers, (N, count)."""

        def perturb(which: Array, sample: Array) -> Array:
            tables = self.table[which]
            for table, row, number in zip(tables, which, sample):
                if number < count:
                    words = self.words[row][hidden(row, number)]
                    self._hide(table, row, np.isin(self.groups[row], words))
            return tables

        scores = np.empty((len(self.table), count + 1))
        rows = np.arange(len(self.table))
        for which, sample, values, _ in run_samples(
            self.traced, rows, self.targets, count + 1, perturb, target_scores, self.context, score=score
        ):
            scores[which, sample] = values
        return scores[:, -1:] - scores[:, :-1]

    def _hide(self, table: Array, row: int, positions: Array) -> None:
        """Replace the tokens at some positions of a row of the table by the baseline."""
        for part in self.parts:
            columns = slice(part.start, part.stop)
            table[columns] = np.where(np.repeat(positions, part.shape[1]), self.replaced[row, columns], table[columns])


_COST = "As many forward passes as `shares`, and 1 more."
_LIMITATIONS = "texts without words are unlike those the model was trained on; depends on the baseline."
RECORDS = (
    Metric(
        name="comprehensiveness",
        function=comprehensiveness,
        better="higher",
        requires=frozenset({"model"}),
        summary="Mean drop of the score when the most important words are replaced",
        paper="DeYoung et al. 2020, eq. 1",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="sufficiency",
        function=sufficiency,
        better="lower",
        requires=frozenset({"model"}),
        summary="Mean drop of the score when all but the most important words are replaced",
        paper="DeYoung et al. 2020, eq. 2",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="leave_one_out_tau",
        function=leave_one_out_tau,
        better="higher",
        requires=frozenset({"model"}),
        summary="Kendall's tau of the map and the drops of the score when each word alone is replaced",
        paper="Jain & Wallace 2019",
        cost="One forward pass per word, and 1 more.",
        limitations="single words of a redundant text have no effect.",
    ),
)
