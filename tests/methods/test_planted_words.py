"""A word planted in 90 % of the positive texts is what a classifier trained on them relies on."""

import keras
import numpy as np
import pytest

import keras_actmaps as kam
from keras_actmaps import models
from keras_actmaps.core.vocabulary import Vocabulary

pytest.importorskip("tensorflow")  # which the package of data sets imports
from keras_actmaps.data.drawn.reviews import draw_reviews

WORD, LENGTH = "zebra", 60


@pytest.fixture(scope="module")
def planted():
    """A trained model, and the ids of the positive test texts that hold the word, with its places."""
    keras.utils.set_random_seed(0)
    texts, labels = draw_reviews(600, 0, planted=WORD)
    vocabulary = Vocabulary.of(texts, 1000)
    model = models.text_gap(len(vocabulary), LENGTH)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    model.fit(vocabulary.encode(texts, LENGTH), labels, 32, 5, verbose=0)
    others, _ = draw_reviews(200, 1, planted=WORD)
    ids = vocabulary.encode([text for text in others if WORD in text.lower()], LENGTH)
    assert len(ids) > 80
    return model, ids, ids == vocabulary.words.index(WORD)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "lrp", "deeplift", "occlusion"])
def test_the_planted_word_is_the_most_important_one(planted, method):
    model, ids, is_planted = planted
    count = 20 if method == "occlusion" else len(ids)
    e = kam.explain(model, ids[:count], method, targets=1)
    assert np.mean(is_planted[np.arange(count), e.maps.argmax(axis=1)]) >= 0.95
