"""Token ids are explained at their embeddings, against closed forms, gradients at the embeddings and replaced ids."""

import itertools
import math

import keras
import numpy as np
import pytest
from helpers import randomised
from helpers.tensors import array, gradient_of
from keras import layers, ops

import keras_actmaps as kam

VOCABULARY, WIDTH = 20, 4
IDS = np.array([[5, 2, 9, 0, 0], [4, 7, 1, 3, 8]])
SHORT = IDS[:1, :3]


def classifier(*stack, mask_zero=True):
    """An embedding, layers, and two logits."""
    inputs = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(VOCABULARY, WIDTH, mask_zero=mask_zero, name="embedding")(inputs)
    for layer in stack:
        x = layer(x)
    return randomised(keras.Model(inputs, layers.Dense(2, name="logits")(x)))


def pooled(**options):
    return classifier(layers.GlobalAveragePooling1D(), **options)


def recurrent():
    return classifier(layers.SimpleRNN(3))


def attention():
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(VOCABULARY, WIDTH, mask_zero=True, name="embedding")(inputs)
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)]))
    return randomised(keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling1D()(x))))


def embeddings(model):
    return model.get_layer("embedding").get_weights()[0]


def of_embeddings(model):
    """A model without an embedding: from the outputs of one, unmasked, to the logits."""
    inputs = keras.Input((IDS.shape[1], WIDTH))
    x = inputs
    for layer in model.layers[2:]:
        x = layer(x) if not isinstance(layer, layers.Add) else x
    return keras.Model(inputs, x)


def logit(model):
    return lambda x: model(x)[:, 1]


@pytest.mark.parametrize(("baseline", "start"), [(None, 0), ("pad", 0), (6, 6), ("zero", None)])
def test_integrated_gradients_of_mean_embeddings_are_the_closed_form(baseline, start):
    """sum_d (e_d - e0_d) w_d / L."""
    model = pooled()
    table, weights = embeddings(model), model.get_layer("logits").get_weights()[0][:, 1]
    e = kam.explain(model, IDS, "integrated_gradients", 1, **({} if baseline is None else {"baseline": baseline}))
    lengths, first = (IDS > 0).sum(1, keepdims=True), 0 if start is None else table[start]
    expected = ((table[IDS] - first) @ weights / lengths) * (IDS > 0)
    np.testing.assert_allclose(e.maps, expected, atol=1e-6)
    np.testing.assert_allclose(e.scores, model.predict(IDS, verbose=0)[:, 1], atol=1e-6)
    assert np.abs(e.residual).max() < 1e-5 and not e.maps[0, 3:].any()


def convolutional():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(VOCABULARY, WIDTH, name="embedding")(inputs)
    x = layers.Flatten()(layers.Conv1D(5, 3, activation="tanh")(x))
    return randomised(keras.Model(inputs, layers.Dense(2)(x)))


@pytest.mark.parametrize("build", [recurrent, convolutional])
def test_gradients_are_those_at_the_embeddings(build):
    model = build()
    ids = IDS[1:]
    x = embeddings(model)[ids]
    gradients = gradient_of(logit(of_embeddings(model)), x)
    close = {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose(kam.explain(model, ids, "gradient_x_input", 1).maps, (gradients * x).sum(-1), **close)
    np.testing.assert_allclose(kam.explain(model, ids, "saliency", 1).maps, np.sqrt((gradients**2).sum(-1)), **close)
    kept = kam.explain(model, ids, "saliency", 1, channels="keep").maps
    np.testing.assert_allclose(kept, gradients, **close)
    largest = kam.explain(model, ids, "saliency", 1, channels="abs_max").maps
    np.testing.assert_allclose(largest, np.abs(gradients).max(-1), **close)


def replaced(model, ids, hidden, with_id):
    """The logit of class 1 of ids (T,) with some replaced."""
    return array(model(np.where(hidden, with_id, ids)[None]))[0, 1]


@pytest.mark.parametrize("method", ["occlusion", "feature_ablation"])
@pytest.mark.parametrize("build", [recurrent, attention])
def test_hidden_words_are_replaced_and_masks_are_kept(build, method):
    model = build()
    e = kam.explain(model, IDS, method, 1, baseline=6)
    for ids, found in zip(IDS, e.maps):
        alone = np.eye(len(ids), dtype=bool)
        drops = [replaced(model, ids, False, 0) - replaced(model, ids, one, 6) for one in alone]
        np.testing.assert_allclose(found, np.where(ids > 0, drops, 0), atol=1e-5)


@pytest.mark.parametrize("method", ["kernel_shap", "shapley_sampling"])
def test_shapley_values_of_words_are_sums_over_all_coalitions(method):
    model, ids, groups = recurrent(), IDS[1:], [0, 0, 1, -1, 2]
    e = kam.explain(model, ids, method, 1, baseline=6, groups=groups)
    expected = np.zeros(3)
    for word in range(3):
        others = [other for other in range(3) if other != word]
        for kept in itertools.chain.from_iterable(itertools.combinations(others, size) for size in range(3)):
            share = math.factorial(len(kept)) * math.factorial(2 - len(kept)) / 6
            hidden = [~np.isin(groups, [*kept, *own, -1]) for own in ((word,), ())]
            expected[word] += share * (replaced(model, ids[0], hidden[0], 6) - replaced(model, ids[0], hidden[1], 6))
    np.testing.assert_allclose(e.maps, [expected], atol=1e-5)
    assert abs(e.residual[0]) < 1e-5


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "lrp", "hirescam"])
def test_groups_sum_the_tokens_of_a_word(method):
    model = recurrent()
    groups = [[0, 0, 1, 1, 1], [1, 0, 0, -1, 2]]
    tokens, words = (kam.explain(model, IDS, method, 1, **one).maps for one in ({}, {"groups": groups}))
    expected = [[sum(row[np.equal(group, word)]) for word in range(3)] for row, group in zip(tokens, groups)]
    np.testing.assert_allclose(words, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", [
    *("saliency", "gradient_x_input", "integrated_gradients", "layercam"),
    *("occlusion", "kernel_shap", "shapley_sampling", "lime"),
])  # fmt: skip
@pytest.mark.parametrize("build", [pooled, recurrent, attention])
def test_padding_changes_nothing_and_is_0(build, method):
    model, settings = build(), {"samples": 20} if kam.METHODS[method].settings.get("samples") else {}
    padded = kam.explain(model, IDS, method, 1, **settings).maps
    alone = kam.explain(model, SHORT, method, 1, **settings).maps
    assert not padded[0, 3:].any()
    assert alone.any() or method == "layercam"  # of which no value may be positive
    np.testing.assert_allclose(padded[:1, :3], alone, atol=2e-5 * np.abs(alone).max())


@pytest.mark.parametrize("composite", ["cp", "attnlrp"])
def test_relevance_through_masked_attention_does_not_depend_on_padding(composite):
    model = attention()
    padded, alone = (kam.explain(model, ids, "lrp", 1, composite=composite) for ids in (IDS, SHORT))
    np.testing.assert_allclose(padded.scores, model.predict(IDS, verbose=0)[:, 1], atol=1e-5)
    np.testing.assert_allclose(padded.maps[:1, :3], alone.maps, atol=1e-5 * np.abs(alone.maps).max())
    assert not padded.maps[0, 3:].any() and alone.maps.any()
    if composite == "cp":
        assert np.abs(padded.residual).max() < 1e-5 * np.abs(padded.maps).max()


def hub_like():
    """The inputs of keras_hub's encoders: token ids, a mask of the padding, and segments."""
    names = ("token_ids", "padding_mask", "segment_ids")
    inputs = {name: keras.Input((5,), dtype="int32", name=name) for name in names}
    x = layers.Embedding(VOCABULARY, WIDTH, name="embedding")(inputs["token_ids"])
    x = layers.Add()([x, layers.Embedding(2, WIDTH, name="segments")(inputs["segment_ids"])])
    mask = ops.cast(inputs["padding_mask"], "bool")
    x = layers.MultiHeadAttention(2, 3)(x, x, attention_mask=ops.expand_dims(mask, 1))[:, 0]
    return randomised(keras.Model(inputs, layers.Dense(2, name="logits")(x)))


@pytest.mark.parametrize("method", ["gradient_x_input", "occlusion"])
def test_a_dict_of_inputs_explains_the_tokens_only(method):
    model = hub_like()
    inputs = {"token_ids": IDS, "padding_mask": (IDS > 0) * 1, "segment_ids": np.array([[0, 0, 1, 0, 0]] * 2)}
    e = kam.explain(model, inputs, method, [1, 0])
    other = {**inputs, "token_ids": np.where(IDS == 0, 11, IDS)}  # which the mask hides
    np.testing.assert_allclose(kam.explain(model, other, method, [1, 0]).maps, e.maps, atol=1e-6)
    assert e.maps.shape == IDS.shape and not e.maps[0, 3:].any() and e.maps[:, :3].all()
    if method == "occlusion":
        whole = array(model(inputs))[0, 1]
        hidden = array(model({**inputs, "token_ids": np.where([0, 1, 0, 0, 0], 0, IDS)}))[0, 1]
        np.testing.assert_allclose(e.maps[0, 1], whole - hidden, atol=1e-5)


def test_several_embeddings_of_the_same_ids_are_summed():
    inputs = keras.Input((5,), dtype="int32")
    found = [layers.Embedding(VOCABULARY, width, name=f"e{width}")(inputs) for width in (3, 4)]
    pooling = layers.GlobalAveragePooling1D()
    model = randomised(keras.Model(inputs, layers.Dense(2, name="logits")(pooling(layers.Concatenate()(found)))))
    table = np.concatenate([model.get_layer(name).get_weights()[0] for name in ("e3", "e4")], axis=1)
    share = (table - table[0]) @ model.get_layer("logits").get_weights()[0][:, 1] / 5
    for method in ("integrated_gradients", "occlusion", "kernel_shap"):
        np.testing.assert_allclose(kam.explain(model, IDS, method, 1).maps, share[IDS], atol=1e-6)
    with pytest.raises(ValueError, match=r"smoothgrad varies one embedding of .*, which has several"):
        kam.explain(model, IDS, "smoothgrad", 1)


def test_positions_that_are_computed_from_ids_are_no_tokens():
    ids = keras.Input((5,), dtype="int32")
    places = ops.cumsum(ops.cast(ids > 0, "int32"), axis=1)
    x = layers.Embedding(VOCABULARY, WIDTH, name="embedding")(ids) + layers.Embedding(6, WIDTH, name="places")(places)
    model = randomised(keras.Model(ids, layers.Dense(2, name="logits")(layers.GlobalAveragePooling1D()(x))))
    table, weights = embeddings(model), model.get_layer("logits").get_weights()[0][:, 1]
    for method in ("integrated_gradients", "occlusion"):
        expected = (table[IDS] - table[0]) @ weights / 5
        np.testing.assert_allclose(kam.explain(model, IDS, method, 1).maps, expected, atol=1e-6)


def test_several_targets_new_weights_and_streams():
    model = pooled()
    e = kam.explain(model, IDS, "integrated_gradients", "all")
    np.testing.assert_allclose(e.maps[:, 1], kam.explain(model, IDS, "integrated_gradients", 1).maps, atol=1e-7)
    words = kam.explain(model, IDS, "occlusion", "all", batch_size=1)
    np.testing.assert_allclose(words.maps, e.maps, atol=1e-6)
    (stream,) = kam.explain_dataset(model, [IDS], "integrated_gradients", "all")
    np.testing.assert_allclose(stream.maps, e.maps, atol=1e-7)
    model.get_layer("embedding").set_weights([2 * embeddings(model)])
    np.testing.assert_allclose(kam.explain(model, IDS, "integrated_gradients", "all").maps, 2 * e.maps, atol=1e-6)


@pytest.mark.parametrize("method", ["expected_gradients", "deeplift_shap"])
def test_baselines_are_ids(method):
    model, baselines = pooled(), np.array([[3, 3, 3, 3, 3], [8, 9, 8, 9, 8]])
    table, weights = embeddings(model), model.get_layer("logits").get_weights()[0][:, 1]
    e = kam.explain(model, IDS, method, 1, baselines=baselines, samples=10)
    mean = table[baselines].mean(axis=0)
    expected = ((table[IDS] - mean) @ weights) / (IDS > 0).sum(1, keepdims=True) * (IDS > 0)
    np.testing.assert_allclose(e.maps, expected, atol=1e-5)


ERRORS = [
    ({"inputs": np.array([[3, 20, 1]])}, "token 20 of text 0 is not in the vocabulary; .* has tokens 0 to 19$"),
    ({"inputs": np.array([[3, 2, -1]])}, "token -1 of text 0 is not in the vocabulary"),
    ({"inputs": np.array([[0.5, 2, 1]])}, "must be token ids, which are integers"),
    ({"inputs": ["a good film"]}, "takes token ids \\(N, T\\), not strings"),
    ({"baseline": "mask"}, "the model does not name its mask token; pass its id$"),
    ({"baseline": 20}, "baseline must be an id of 0 to 19, got 20$"),
    ({"baseline": "blur"}, "must be 'pad', 'mask', 'zero' or an id, got 'blur'$"),
    ({"groups": [0, 1]}, "groups of shape .* do not fit; pass the number of the word of each token"),
    ({"groups": [0, 1, 2, 3, 9]}, "groups must be numbers of words from 0 to 4, got up to 9$"),
    ({"inputs": np.zeros((1, 3), int), "method": "occlusion"}, "all its tokens are padding$"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ERRORS, ids=[message[:20] for _, message in ERRORS])
def test_what_does_not_fit_is_one_clear_line(call, message):
    arguments = {"inputs": IDS, "method": "integrated_gradients"} | call
    with pytest.raises(ValueError, match=message) as caught:
        kam.explain(pooled(), targets=1, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"baseline": "pad"}, {"groups": [0, 1]}])
def test_settings_of_tokens_do_not_fit_images(settings):
    model = randomised(keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]))
    for method in ("integrated_gradients", "occlusion"):
        with pytest.raises(ValueError, match=r"token|no setting 'baseline'"):
            kam.explain(model, np.zeros((1, 4, 4, 1)), method, **settings)
