"""The k highest scores of each channel and the images they belong to, updated batch by batch."""

from dataclasses import dataclass, replace

import numpy as np

from keras_actmaps.core.types import Array


@dataclass(frozen=True, eq=False)
class Exemplars:
    """The k images with the highest activation of each channel, in descending order.

    Attributes
    ----------
    scores : array of shape (channels, k)
        float32, the activation of the channel, reduced over space.
    indices : array of shape (channels, k)
        int64, positions of the images in the data set.
    channels : array of shape (channels,)
        int64, the channels' numbers in the layer.
    lowest : array of shape (channels,)
        float32, the lowest score of any image.
    layer : str
        Path of the layer.
    reduce : {"max", "mean"}
    places : array of shape (channels, k, axes) or None
        int32, the position of the maximum in the layer; None for a mean or a layer without spatial axes.
    """

    scores: Array
    indices: Array
    channels: Array
    lowest: Array
    layer: str
    reduce: str = "max"
    places: Array | None = None

    def __len__(self) -> int:
        return len(self.channels)

    @property
    def silent(self) -> Array:
        """(channels, k): True if the image does not activate the channel: its score is the lowest and not above 0."""
        return (self.scores <= 0) & (self.scores <= self.lowest[:, None])

    @property
    def dead(self) -> Array:
        """(channels,): True for channels that no image activates."""
        return self.silent[:, 0]

    def rows(self, rows: Array | list[int]) -> "Exemplars":
        """The exemplars of some of the channels, by row."""
        return replace(
            self,
            scores=self.scores[rows],
            indices=self.indices[rows],
            channels=self.channels[rows],
            lowest=self.lowest[rows],
            places=None if self.places is None else self.places[rows],
        )


def empty_exemplars(layer: str, channels: Array, reduce: str, axes: int | None = None) -> Exemplars:
    """Exemplars of no images yet; axes: number of spatial axes of the places, None without places."""
    return Exemplars(
        scores=np.zeros((len(channels), 0), "float32"),
        indices=np.zeros((len(channels), 0), "int64"),
        channels=channels,
        lowest=np.full(len(channels), np.inf, "float32"),
        layer=layer,
        reduce=reduce,
        places=None if axes is None else np.zeros((len(channels), 0, axes), "int32"),
    )


def merge_batch(top: Exemplars, k: int, scores: Array, first: int, places: Array | None = None) -> Exemplars:
    """The k best of the exemplars so far and of a batch of images; ties are broken in favor of earlier images.

    scores: (N, channels). first: position of the first image of the batch in the data set. places: (N, channels, axes).
    """
    is_full = top.scores.shape[1] >= k
    rows = np.flatnonzero(scores.max(axis=0) > top.scores[:, -1]) if is_full else np.arange(len(top))
    candidates = np.concatenate([top.scores[rows], scores.T[rows]], axis=1)
    order = np.argsort(-candidates, axis=1, kind="stable")[:, :k]
    indices = np.broadcast_to(np.arange(first, first + len(scores)), (len(rows), len(scores)))

    def select(old: Array, new: Array) -> Array:
        both = np.concatenate([old[rows], new], axis=1)
        selected = np.take_along_axis(both, order.reshape(order.shape + (1,) * (old.ndim - 2)), axis=1)
        if not is_full:
            return selected
        updated = old.copy()
        updated[rows] = selected
        return updated

    return replace(
        top,
        scores=select(top.scores, scores.T[rows]),
        indices=select(top.indices, indices),
        lowest=np.minimum(top.lowest, scores.min(axis=0)),
        places=None if places is None or top.places is None else select(top.places, places.swapaxes(0, 1)[rows]),
    )
