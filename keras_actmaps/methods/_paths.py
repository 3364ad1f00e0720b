"""Gradients along the straight path from a baseline to an input, at a fixed quadrature or to a tolerance."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods._sampling import chunk_size, per_sample, run_chunks
from keras_actmaps.methods.saliency import saliency

MOST_PASSES = 4096  # per input, if a tolerance is set
ROUNDING = 1e-6  # relative to the scores; smaller residuals are rounding errors of float32
_HALF_NODES = (
    *(0.0, 0.2077849550078985, 0.4058451513773972, 0.5860872354676911),
    *(0.7415311855993945, 0.8648644233597691, 0.9491079123427585, 0.9914553711208126),
)
_HALF_WEIGHTS = (
    *(0.2094821410847278, 0.2044329400752989, 0.1903505780647854, 0.1690047266392679),
    *(0.1406532597159259, 0.1047900103222502, 0.0630920926299785, 0.0229353220105292),
)
KRONROD = (  # the rule of 15 nodes, on 0..1
    (np.array([*(-node for node in _HALF_NODES[:0:-1]), *_HALF_NODES]) + 1) / 2,
    np.array([*_HALF_WEIGHTS[:0:-1], *_HALF_WEIGHTS]) / 2,
)


@functools.lru_cache(maxsize=8)
def gauss_legendre(steps: int) -> tuple[Array, Array]:
    """Nodes between 0 and 1 and weights with sum 1."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


class Path(NamedTuple):
    """The paths from `start` to `inputs` (N, ...), and the model and targets (N,) whose scores are integrated."""

    traced: TracedModel
    inputs: Array
    start: Array
    targets: Any
    context: RunContext

    def one(self, row: int) -> "Path":
        """The path of one input."""
        rows = slice(row, row + 1)
        return self._replace(inputs=self.inputs[rows], start=self.start[rows], targets=rows_of(self.targets, rows))


def integrate(path: Path, steps: int) -> Array:
    """(x - x0) times the mean gradient along the path, by Gauss-Legendre quadrature of `steps` nodes."""
    gradients = np.zeros(path.inputs.shape)
    for _, part in _gradients(path, *gauss_legendre(steps)):
        gradients += part
    return (path.inputs - path.start) * gradients


def integrate_to(path: Path, tolerance: float) -> tuple[Array, Array]:
    """The same with as many nodes as each input needs, for a residual of at most `tolerance` times Y(x) - Y(x0).

    The path of each input is cut into pieces of 15 Gauss-Kronrod nodes. A piece's residual is what its gradients sum to
    minus the rise of the score over it; the pieces with the largest residuals are halved, until the rest adds up to no
    more than is allowed.

    Returns
    -------
    tuple of array
        Maps (N, ..., C), and the passes (N,) with gradients that each took.
    """
    found = [_one_to(path.one(row), tolerance) for row in range(len(path.inputs))]
    return np.concatenate([maps for maps, _ in found]), np.array([passes for _, passes in found])


class _Piece(NamedTuple):
    """A piece of a path: where it begins and ends, the scores there, its share of the map, and its residual."""

    ends: tuple[float, float]
    scores: tuple[float, float]
    maps: Array
    residual: float


def _one_to(path: Path, tolerance: float) -> tuple[Array, int]:
    """The map (1, ..., C) of one input, and its passes."""
    first, last = _scores(path, [0.0, 1.0])
    allowed = max(tolerance * abs(last - first), ROUNDING * (abs(first) + abs(last)))
    pieces, passes = _pieces(path, [(0.0, 1.0)], [(first, last)]), len(KRONROD[0])
    while abs(residual := sum(piece.residual for piece in pieces)) > allowed:
        kept, coarse = _by_residual(pieces, allowed)
        passes += 2 * len(coarse) * len(KRONROD[0])
        if passes > MOST_PASSES:
            warn_user(
                f"integrated_gradients: tolerance={tolerance} is not reached in {MOST_PASSES} passes; the residual is "
                f"{abs(residual):.2g} of a difference of {last - first:.2g}",
            )
            return _total(pieces), passes - 2 * len(coarse) * len(KRONROD[0])
        middles = [sum(piece.ends) / 2 for piece in coarse]
        ends, scores = [], []
        for piece, middle, score in zip(coarse, middles, _scores(path, middles)):
            ends += [(piece.ends[0], middle), (middle, piece.ends[1])]
            scores += [(piece.scores[0], score), (score, piece.scores[1])]
        pieces = kept + _pieces(path, ends, scores)
    return _total(pieces), passes


def _total(pieces: list[_Piece]) -> Array:
    return np.sum([piece.maps for piece in pieces], axis=0)


def _by_residual(pieces: list[_Piece], allowed: float) -> tuple[list[_Piece], list[_Piece]]:
    """The pieces whose residuals together are within what is allowed, and the others."""
    ordered = sorted(pieces, key=lambda piece: abs(piece.residual))
    count = int((np.cumsum([abs(piece.residual) for piece in ordered]) <= allowed).sum())
    return ordered[:count], ordered[count:]


def _pieces(path: Path, ends: Sequence[tuple], scores: Sequence[tuple]) -> list[_Piece]:
    """Pieces with these ends and the scores there, integrated."""
    nodes, weights = KRONROD
    lengths = np.diff(ends)
    positions = np.array(ends)[:, :1] + lengths * nodes
    gradients = np.zeros((len(ends), *path.inputs.shape))
    for numbers, part in _gradients(path, positions.ravel(), (lengths * weights).ravel(), chunk=len(nodes)):
        gradients[numbers[0] // len(nodes)] += part
    maps = (path.inputs - path.start) * gradients
    sums = maps.reshape(len(ends), -1).sum(axis=1)
    return [
        _Piece(end, score, part, total - (score[1] - score[0]))
        for end, score, part, total in zip(ends, scores, maps, sums)
    ]


def _scores(path: Path, positions: Sequence[float]) -> list[float]:
    """The scores of one input at positions on its path."""
    traced, inputs, start, targets, context = path
    table = np.asarray(positions, "float32")
    size = chunk_size(len(KRONROD[0]), context.batch_size)
    rows = _rows_of(table)
    chunks = run_chunks(traced, inputs, targets, len(table), rows, between, context, constants=(start,), size=size)
    return [float(score) for _, values in chunks for score in values[:, 0]]


def _gradients(path: Path, positions: Array, weights: Array, chunk: int | None = None) -> Iterator[tuple[Array, Array]]:
    """Chunks of nodes with their weighted gradients (N, ..., C); no chunk has nodes of two blocks of `chunk` nodes."""
    traced, inputs, start, targets, context = path
    tables = [positions.astype("float32"), weights.astype("float32")]
    size = chunk_size(chunk or len(positions), context.batch_size // len(inputs))
    return run_chunks(
        traced,
        inputs,
        targets,
        len(positions),
        _rows_of(*tables),
        between,
        context,
        constants=(start,),
        function=saliency,
        reduce=_weighted_sum,
        size=size,
    )


def _rows_of(*tables: Array) -> Callable[[Array], list]:
    return lambda numbers: [table[numbers] for table in tables]


def between(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """x0 + a (x - x0) for each position a on the path."""
    (start,) = constants
    return start + per_sample(rows[0], inputs) * (inputs - start)


def _weighted_sum(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """sum_s w_s g_s."""
    return ops.sum(per_sample(is_real * rows[1], inputs) * values, axis=0)
