"""Film reviews as token ids: IMDB, and generated reviews as a stand-in."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import tensorflow as tf

from keras_actmaps.core.settings import Seed
from keras_actmaps.core.types import Array
from keras_actmaps.core.vocabulary import Vocabulary
from keras_actmaps.data import sources
from keras_actmaps.data.drawn.reviews import draw_reviews
from keras_actmaps.data.records import BatchSize, Data, Info, Limit, limit_counts

LENGTH, WORDS = 256, 10_000  # of a text, and of the vocabulary
DRAWN_LENGTH = 64
HELD_OUT = 0.1  # share of the training texts
DRAWN = {"train": 2_000, "test": 400}

Texts = tuple[Sequence[str], Array]  # and their labels


def imdb(
    data_dir: str | os.PathLike | None = None, *, batch_size: BatchSize = 32, seed: Seed = 0, limit: Limit = None
) -> Data:
    """IMDB's film reviews through TFDS: the ids (N, 256) of their first words, labeled neg or pos.

    Raises
    ------
    DataUnavailable
        Where the data is neither prepared nor can be downloaded.
    """
    root = sources.builder("imdb_reviews", data_dir).data_path.parents[2]
    source, classes = f"IMDB reviews through TFDS, {root}", sources.class_names("imdb_reviews", data_dir)
    path = None if data_dir is None else str(data_dir)
    return _reviews("imdb", classes, source, "", lambda split: _imdb(split, path), LENGTH, batch_size, seed, limit)


def drawn_reviews(
    data_dir: str | os.PathLike | None = None, *, batch_size: BatchSize = 32, seed: Seed = 0, limit: Limit = None
) -> Data:
    """A stand-in for `imdb`: generated reviews, whose ids are (N, 64); `data_dir` is not used."""
    source = "generated reviews (a stand-in, no real data)"
    notice = "drawn-reviews: generated film reviews, a stand-in for real data"
    return _reviews("drawn-reviews", ("neg", "pos"), source, notice, _drawn, DRAWN_LENGTH, batch_size, seed, limit)


@lru_cache(maxsize=4)
def _imdb(split: str, data_dir: str | None) -> Texts:
    loaded = sources.builder("imdb_reviews", data_dir).as_dataset(split=split, shuffle_files=False, batch_size=-1)
    texts = [text.decode("utf-8", "replace") for text in loaded["text"].numpy()]
    return texts, loaded["label"].numpy()


@lru_cache(maxsize=4)
def _drawn(split: str) -> Texts:
    return draw_reviews(DRAWN[split], seed={"train": 1, "test": 2}[split])


def _reviews(
    name: str,
    classes: tuple[str, ...],
    source: str,
    notice: str,
    load: Callable[[str], Texts],
    length: int,
    batch_size: int,
    seed: int,
    limit: int | None,
) -> Data:
    """The pipelines of (ids, labels, {"text": ...}); every tenth training text is held out for validation."""
    splits = _splits(load)
    counts = limit_counts({split: len(texts) for split, (texts, _) in splits.items()}, limit)
    vocabulary = Vocabulary.of(splits["train"][0], WORDS)
    info = Info(name, classes, (length,), counts, source, 1.0, notice, vocabulary=vocabulary.words)
    encoded: dict[str, Array] = {}

    def build(split: str, epoch_seed: tf.Tensor | None) -> tf.data.Dataset:
        with tf.init_scope():
            texts, labels = splits[split][0][: counts[split]], splits[split][1][: counts[split]]
            if split not in encoded:
                encoded[split] = vocabulary.encode(texts, length)
            parts = tf.data.Dataset.from_tensor_slices((encoded[split], labels, {"text": list(texts)}))
        if epoch_seed is not None:
            parts = parts.shuffle(counts[split], epoch_seed, reshuffle_each_iteration=False)
        return parts.batch(batch_size)

    return Data(info, build, seed)


def _splits(load: Callable[[str], Texts]) -> dict[str, Texts]:
    """The texts of the three splits."""
    texts, labels = load("train")
    held_out = np.arange(len(texts)) % round(1 / HELD_OUT) == 0
    parts = {"train": ~held_out, "validation": held_out}
    found = {split: ([texts[i] for i in np.flatnonzero(rows).tolist()], labels[rows]) for split, rows in parts.items()}
    return {**found, "test": load("test")}
