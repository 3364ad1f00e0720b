"""A running list of the strongest: the k highest scores of each channel, and whose they are, batch after batch."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Exemplars:
    """The k images that excite each of some channels most, the strongest first.

    scores: float32 (channels, k), a channel's activation, reduced over space. indices: int64 (channels, k), the places
    of the images in the data set. channels: int64 (channels,), their numbers in the layer. lowest: float32 (channels,),
    the lowest score of any image. places: int32 (channels, k, axes of space), where in the layer the strongest unit of
    the image is; None where the score is a mean.
    """

    scores: np.ndarray
    indices: np.ndarray
    channels: np.ndarray
    lowest: np.ndarray
    layer: str
    reduce: str = "max"
    places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.channels)

    @property
    def silent(self) -> np.ndarray:
        """(channels, k): which images are no exemplars; not above 0, and no other image scores less."""
        return (self.scores <= 0) & (self.scores <= self.lowest[:, None])

    @property
    def dead(self) -> np.ndarray:
        """(channels,): which channels no image excites."""
        return self.silent[:, 0]

    def rows(self, rows) -> "Exemplars":
        """Those of some of the channels, by their row."""
        arrays = ("scores", "indices", "channels", "lowest", "places")
        kept = {name: getattr(self, name)[rows] for name in arrays if getattr(self, name) is not None}
        return replace(self, **kept)


def nothing(path: str, channels: np.ndarray, k: int, reduce: str, places: np.ndarray | None = None) -> Exemplars:
    """Exemplars before there is any image; places: those of a batch, if there will be any."""
    shape = (len(channels), k)
    return Exemplars(
        scores=np.full(shape, -np.inf, "float32"),
        indices=np.full(shape, -1),
        channels=channels,
        lowest=np.full(len(channels), np.inf, "float32"),
        layer=path,
        reduce=reduce,
        places=None if places is None else np.zeros((*shape, places.shape[-1]), "int32"),
    )


def merged(best: Exemplars, scores: np.ndarray, first: int, places: np.ndarray | None = None) -> Exemplars:
    """What is best with a batch of images, of which `first` is the number of the first; scores (N, channels)."""
    lowest = np.minimum(best.lowest, scores.min(axis=0))
    rows = np.flatnonzero(scores.max(axis=0) > best.scores[:, -1])  # of equal scores the earlier image stays
    both = np.concatenate([best.scores[rows], scores.T[rows]], axis=1)
    order = np.argsort(-both, axis=1, kind="stable")[:, : best.scores.shape[1]]

    def together(kept, new):
        kept, found = kept.copy(), np.concatenate([kept[rows], new], axis=1)
        kept[rows] = np.take_along_axis(found, order.reshape(order.shape + (1,) * (kept.ndim - 2)), axis=1)
        return kept

    numbers = np.broadcast_to(np.arange(first, first + len(scores)), (len(rows), len(scores)))
    return replace(
        best,
        scores=together(best.scores, scores.T[rows]),
        indices=together(best.indices, numbers),
        lowest=lowest,
        places=None if places is None else together(best.places, places.swapaxes(0, 1)[rows]),
    )
