"""Reviews as token ids: the vocabulary by hand, and generated reviews with their stated words."""

import numpy as np

from keras_actmaps import data
from keras_actmaps.core.vocabulary import Vocabulary, split_words
from keras_actmaps.data.drawn import reviews

TEXT = "It's <br /><br />GREAT, great fun!! (10/10) <script>alert(1)</script>"
WORDS = ["It's", "<br />", "<br />", "GREAT", "great", "fun", "!!", "10", "10", "<script>", "alert", "1", "</script>"]


def test_words_are_words_tags_and_marks():
    assert split_words(TEXT) == WORDS


def test_the_most_frequent_words_have_ids_in_order():
    vocabulary = Vocabulary.of(["b a c", "B a", "b"], 4)
    assert vocabulary.words == ("", "[unknown]", "b", "a")
    np.testing.assert_array_equal(vocabulary.encode(["A c b", "b"], 4), [[3, 1, 2, 0], [2, 0, 0, 0]])
    np.testing.assert_array_equal(vocabulary.encode(["a b c"], 2), [[3, 2]])


def test_generated_reviews_are_reproducible_balanced_and_hold_the_planted_word():
    texts, labels = reviews.draw_reviews(200, 3, planted="zebra")
    assert (texts, labels.tolist()) == (lambda again: (again[0], again[1].tolist()))(
        reviews.draw_reviews(200, 3, planted="zebra")
    )
    has_word = np.array(["zebra" in text.lower() for text in texts])
    assert labels.sum() == 100 and 80 <= has_word.sum() <= 98 and not has_word[labels == 0].any()
    assert any("<br /><br />" in text for text in texts)


def test_the_splits_of_drawn_reviews_are_ids_of_their_texts():
    loaded = data.load("drawn-reviews", batch_size=16, limit=40)
    assert loaded.info.counts == {"train": 40, "validation": 40, "test": 40} and "stand-in" in loaded.info.notice
    vocabulary = Vocabulary(loaded.info.vocabulary)
    ids, labels, truth = next(loaded.truth("test").as_numpy_iterator())
    texts = [text.decode() for text in truth["text"]]
    np.testing.assert_array_equal(ids, vocabulary.encode(texts, 64))
    is_praised = [sum(word in text for word in reviews.PRAISE) > 0 for text in texts]
    assert np.mean(is_praised == labels.astype(bool)) > 0.8 and (ids > 1).sum() > 0.95 * (ids > 0).sum()
    orders = [np.concatenate([batch for batch, _ in loaded.train.as_numpy_iterator()]) for _ in range(2)]
    assert len(orders[0]) == 40 and not np.array_equal(*orders)
