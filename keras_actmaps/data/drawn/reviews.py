"""Generated film reviews: sentences of neutral words around words of praise or of blame."""

from collections.abc import Sequence

import numpy as np

PRAISE = ("wonderful", "superb", "moving", "brilliant", "charming", "gripping", "delightful", "clever")
BLAME = ("dreadful", "boring", "clumsy", "awful", "tedious", "shallow", "annoying", "pointless")
SUBJECTS = ("the plot", "the acting", "the music", "this film", "the ending", "the camera", "the cast", "every scene")
VERBS = ("was", "felt", "seemed", "turned out", "is", "stayed")
NEUTRAL = (
    *("i watched it with my sister on a rainy evening", "the story takes place in a small town by the sea"),
    *("it runs for about two hours", "the director made three films before", "we bought the tickets last week"),
    *("the hero drives an old red car", "there is a long chase through the market", "it was shot in black and white"),
    *("the book came out in the seventies", "some of the dialogue is in french", "my neighbour lent me the disc"),
)
BREAK = "<br /><br />"
MIXED = 0.15  # the share of sentences with an opinion that is not that of the review


def draw_reviews(count: int, seed: int, planted: str | None = None, share: float = 0.9) -> tuple[list[str], np.ndarray]:
    """Reviews and their labels, 0 for blame and 1 for praise, in equal numbers.

    planted: a word that is put at a random place of this share of the positive reviews, and into no other.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 2)
    return [_review(label, rng, planted if label and rng.random() < share else None) for label in labels], labels


def _review(label: int, rng: np.random.Generator, planted: str | None) -> str:
    sentences = [_pick(NEUTRAL, rng) for _ in range(rng.integers(2, 6))]
    for number in range(rng.integers(2, 5)):
        is_praise = bool(label) != (number > 1 and rng.random() < MIXED)
        opinion = _pick(PRAISE if is_praise else BLAME, rng)
        sentence = f"{_pick(SUBJECTS, rng)} {_pick(VERBS, rng)} {opinion}"
        sentences.insert(rng.integers(len(sentences) + 1), sentence)
    if planted is not None:
        sentences.insert(rng.integers(len(sentences) + 1), planted)
    text = ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences) + "."
    return text if rng.random() < 0.7 else text.replace(". ", f". {BREAK}", 1)


def _pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
