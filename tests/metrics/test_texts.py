"""Metrics of token ids against replaced ids by hand, and on a model that is a sum over words."""

import keras
import numpy as np
import pytest
from helpers import randomised
from helpers.metrics import explanation_of, softmax
from keras import layers

import keras_actmaps as kam
from keras_actmaps import metrics

IDS = np.array([[5, 2, 9, 0, 0, 0], [4, 7, 1, 3, 8, 6]])
MAPS = np.array([[0.1, -0.4, 0.3, 0, 0, 0], [0.2, 0.1, 0.9, -0.3, 0.4, 0.5]])


@pytest.fixture(scope="module")
def model():
    ids = keras.Input((None,), dtype="int32")
    x = layers.SimpleRNN(3)(layers.Embedding(20, 4, mask_zero=True)(ids))
    return randomised(keras.Model(ids, layers.Dense(2)(x)))


def probability(model, ids, hidden, score):
    logits = model.predict(np.where(np.isin(np.arange(len(ids)), hidden), 11, ids)[None], verbose=0)
    return (softmax(logits) if score == "softmax" else logits)[0, 1]


@pytest.mark.parametrize("score", ["softmax", "logit"])
def test_words_are_replaced_in_the_order_of_the_map(model, score):
    e, settings = explanation_of(MAPS, 1), {"baseline": 11, "score": score, "shares": (0.1, 0.5, 1.0)}
    orders = [[2, 0, 1], [2, 5, 4, 0, 1, 3]]
    removed, kept = [], []
    for ids, order in zip(IDS, orders):
        whole = probability(model, ids, [], score)
        counts = [int(np.ceil(share * len(order))) for share in settings["shares"]]
        removed.append(np.mean([whole - probability(model, ids, order[:count], score) for count in counts]))
        kept.append(np.mean([whole - probability(model, ids, order[count:], score) for count in counts]))
    np.testing.assert_allclose(metrics.comprehensiveness(model, IDS, e, **settings), removed, atol=1e-5)
    np.testing.assert_allclose(metrics.sufficiency(model, IDS, e, **settings, batch_size=2), kept, atol=1e-5)


def test_tau_is_that_of_scipy_with_each_word_left_out(model):
    stats = pytest.importorskip("scipy.stats")
    e = explanation_of(MAPS, 1)
    expected = []
    for ids, values in zip(IDS, MAPS):
        count = (ids > 0).sum()
        whole = probability(model, ids, [], "logit")
        drops = [whole - probability(model, ids, [word], "logit") for word in range(count)]
        expected.append(stats.kendalltau(values[:count], drops).statistic)
    np.testing.assert_allclose(metrics.leave_one_out_tau(model, IDS, e, baseline=11), expected, atol=1e-6)
    ties = np.array([1.0, 1, 2, 3, 3]), np.array([2.0, 1, 1, 3, 0])
    found = metrics.texts.kendall_tau(*ties)
    np.testing.assert_allclose(found, stats.kendalltau(*ties).statistic)
    assert metrics.texts.kendall_tau(np.ones(3), np.arange(3)) == 0


def test_methods_are_compared_by_the_metrics_of_token_ids(model):
    columns = [(name, {"baseline": 11}) for name in metrics.TEXT_METRICS]
    explanations, table = kam.compare(model, IDS, ["gradient_x_input", "integrated_gradients"], columns, targets=1)
    for e, values in zip(explanations, table.values):
        for record, found in zip(metrics.TEXT_METRICS.values(), values):
            np.testing.assert_allclose(found, record.function(model, IDS, e, baseline=11), atol=1e-5)
    assert table.better == ("higher", "lower", "higher")
    assert np.abs(table.values[0] - table.values[1]).max() > 0.01 and not set(metrics.TEXT_METRICS) & set(
        metrics.METRICS
    )


def test_integrated_gradients_of_a_sum_over_words_have_the_order_of_leaving_out():
    ids = keras.Input((None,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(20, 4, mask_zero=True)(ids))
    pooled = randomised(keras.Model(ids, layers.Dense(2)(x)))
    e = kam.explain(pooled, IDS, "integrated_gradients", 1)
    np.testing.assert_allclose(metrics.leave_one_out_tau(pooled, IDS, e), 1)


def test_words_of_several_tokens_are_replaced_as_a_whole(model):
    groups = [0, 0, 1, 1, 2, 2]
    e = explanation_of([[0.5, 0.1, 0], [0.1, 0.2, 0.7]], 1)
    found = metrics.comprehensiveness(model, IDS, e, groups=groups, shares=(0.2,), baseline=11, score="logit")
    tops = [[0, 1], [4, 5]]
    expected = [
        probability(model, ids, [], "logit") - probability(model, ids, top, "logit") for ids, top in zip(IDS, tops)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_does_not_fit_is_an_error(model):
    images = randomised(keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"replaces words of token ids, which .* does not take"):
        metrics.sufficiency(images, np.zeros((1, 4, 4, 1)), explanation_of(np.zeros((1, 4, 4))))
    with pytest.raises(ValueError, match=r"maps of shape \(2, 3\) do not fit the texts, .* shape \(2, 6\)"):
        metrics.comprehensiveness(model, IDS, explanation_of(MAPS[:, :3]))
    with pytest.raises(ValueError, match="shares must be numbers above 0 and up to 1"):
        metrics.comprehensiveness(model, IDS, explanation_of(MAPS), shares=(0.1, 2))
