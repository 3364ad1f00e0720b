"""Strings for a classifier of keras-hub with its preprocessor, of a tiny vocabulary and random weights."""

import functools

import numpy as np
import pytest
from helpers import randomised

import keras_actmaps as kam

pytest.importorskip("tokenizers", reason="tokenizers is not installed")
keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "very"]
TEXTS = ["a very good film", "bad"]
IDS = np.array([[2, 5, 9, 6, 8, 3, 0, 0], [2, 7, 3, 0, 0, 0, 0, 0]])


@functools.cache
def network():
    models = keras_hub.models
    tokenizer = models.DistilBertTokenizer(vocabulary=WORDS)
    preprocessor = models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=8)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 8}
    backbone = models.DistilBertBackbone(vocabulary_size=len(WORDS), **sizes)
    return randomised(models.DistilBertTextClassifier(backbone, num_classes=2, preprocessor=preprocessor))


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "occlusion"])
def test_strings_are_explained_as_the_ids_of_their_words(method):
    model = network()
    e = kam.explain(model, TEXTS, method, targets=1)
    ids = {"token_ids": IDS, "padding_mask": IDS > 0}
    np.testing.assert_allclose(e.scores, model.predict(TEXTS, verbose=0)[:, 1], atol=1e-5)
    np.testing.assert_allclose(e.maps, kam.explain(model, ids, method, targets=1).maps, atol=1e-6)
    assert (e.maps[IDS == 0] == 0).all() and (e.maps[IDS > 0] != 0).all()


def test_a_word_alone_is_worth_what_its_padding_changes():
    model = network()
    e = kam.explain(model, TEXTS, "occlusion", targets=0)
    mask = IDS[:1] > 0
    whole = model.backbone({"token_ids": IDS[:1], "padding_mask": mask})  # the mask stays
    assert whole.shape == (1, 8, 8)
    scores = []
    for number in (None, *range(6)):
        ids = IDS[:1].copy()
        if number is not None:
            ids[0, number] = 0
        features = model.backbone({"token_ids": ids, "padding_mask": mask})[:, 0]
        scores.append(float(model.output_dense(model.pooled_dense(features))[0, 0]))
    np.testing.assert_allclose(e.maps[0, :6], scores[0] - np.array(scores[1:]), atol=1e-5)


def test_metrics_and_the_table_of_methods_take_strings():
    model = network()
    e = kam.explain(model, TEXTS, "occlusion", targets=1)
    ids = {"token_ids": IDS, "padding_mask": IDS > 0}
    for metric in (kam.metrics.comprehensiveness, kam.metrics.sufficiency, kam.metrics.leave_one_out_tau):
        np.testing.assert_allclose(metric(model, TEXTS, e), metric(model, ids, e), atol=1e-6)
    np.testing.assert_allclose(kam.metrics.leave_one_out_tau(model, TEXTS, e), 1)  # occlusion leaves one out
    assert dict(kam.supported(model, TEXTS)) == dict(kam.supported(model, ids))
