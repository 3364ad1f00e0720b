"""Vocabulary: from the words of a text to token ids, and back."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_actmaps.core.types import Array

PADDING, UNKNOWN = 0, 1
SPECIAL = ("", "[unknown]")  # the words of the first ids
WORD = re.compile(r"<[^<>]+>|\w+(?:['’]\w+)*|[!?]+")


def split_words(text: str) -> list[str]:
    """The words of a text as they are written: words, tags such as `<br />`, exclamation and question marks."""
    return WORD.findall(text)


@dataclass(frozen=True)
class Vocabulary:
    """The words that have token ids: the id of a word is its position.

    Attributes
    ----------
    words : tuple of str
        In lower case. The first two are padding and the word for all others.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], size: int) -> "Vocabulary":
        """The `size` most frequent words, special ones included; among equally frequent ones the first by alphabet."""
        counts = Counter(word.lower() for text in texts for word in split_words(text))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((*SPECIAL, *ranked[: size - len(SPECIAL)]))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words) if number >= len(SPECIAL)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Sequence[str], length: int) -> Array:
        """Token ids, int32 (N, length), of the first `length` words of each text, padded with 0 at the end."""
        ids = np.full((len(texts), length), PADDING, "int32")
        for row, text in zip(ids, texts):
            words = split_words(text)[:length]
            row[: len(words)] = [self._ids.get(word.lower(), UNKNOWN) for word in words]
        return ids
