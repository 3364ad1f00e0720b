"""The CAM family against values by hand, the framework's gradients, NumPy's SVD and loops over the channels."""

import keras
import numpy as np
import pytest
from helpers import array, enlarged, forbid_passes, gap_network, gradient_of, randomised, raw_maps
from keras import layers, ops

import keras_actmaps as kam

TARGETS = np.array([0, 1, 2, 3, 1])


@pytest.fixture
def network():
    keras.utils.set_random_seed(1)
    return gap_network()


def maps_of(name, model, images, layer=None, targets=TARGETS):
    return raw_maps(name, model, images, targets, layer)


def cut(model, layer):
    """Two Keras models: from images to features of the layer, and from features to logits."""
    place = model.layers.index(model.get_layer(layer))
    features = keras.Input(model.layers[place].output.shape[1:])
    x = features
    for following in model.layers[place + 1 :]:
        x = following(x)
    return keras.Model(model.inputs, model.layers[place].output), keras.Model(features, x)


def differentiated(model, images, layer, targets=TARGETS):
    """Features and gradients in float64."""
    before, behind = cut(model, layer)
    features = before(images)
    chosen = np.eye(4, dtype="float32")[targets]
    gradients = gradient_of(lambda features: behind(features) * ops.convert_to_tensor(chosen), features)
    return array(features).astype("float64"), gradients.astype("float64")


def linear_network(kernel, shape=(2, 2, 2)):
    """Features are the image; the score is linear in them with the weights `kernel`."""
    inputs = keras.Input(shape)
    features = layers.Conv2D(shape[-1], 1, use_bias=False, name="features")(inputs)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(layers.Flatten()(features)))
    model.set_weights([np.eye(shape[-1])[None, None], np.reshape(kernel, (-1, 1))])
    return model


def test_gradcam_plus_plus_by_hand():
    """alpha = 1 / (2 + 10 g) in the first channel and 1 / (2 + 2 g) in the second, where g > 0."""
    first, second = np.array([[1, 2], [3, 4.0]]), np.array([[0, 1], [0, 1.0]])
    gradients = np.stack([[[1, 0], [-1, 0.5]], [[2, -3], [0, 1]]], axis=-1)
    images = np.stack([first, second], axis=-1)[None].astype("float32")
    weights = 1 / 12 + 0.5 / 7, 2 / 6 + 1 / 4
    for scale in (1, 1e-12):  # so small that g^2 underflows in float32
        maps = maps_of("gradcam_plus_plus", linear_network(gradients * scale), images, targets=[0])
        if scale < 1:
            weights = 1.5 / 2, 3 / 2
        np.testing.assert_allclose(maps[0] / scale, weights[0] * first + weights[1] * second, rtol=1e-5)


def test_gradcam_plus_plus_is_the_formula_of_the_paper_and_does_not_overflow(network, images):
    features, gradients = differentiated(network, images, "conv1")
    totals = features.sum((1, 2), keepdims=True)
    divisors = 2 * gradients**2 + totals * gradients**3
    alphas = np.divide(gradients**2, divisors, out=np.zeros_like(divisors), where=gradients != 0)
    weights = (alphas * np.maximum(gradients, 0)).sum((1, 2), keepdims=True)
    expected = np.maximum((weights * features).sum(-1), 0)
    np.testing.assert_allclose(maps_of("gradcam_plus_plus", network, images, "conv1"), expected, rtol=1e-4)
    assert expected.max() > 0
    network.get_layer("logits").bias.assign([1e5] * 4)  # exp(score) would be infinite
    np.testing.assert_allclose(maps_of("gradcam_plus_plus", network, images, "conv1"), expected, rtol=1e-4)


def test_xgradcam_is_gradcam_where_gradients_are_constant_over_space(network, images):
    maps, expected = (maps_of(name, network, images) for name in ("xgradcam", "gradcam"))
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-7)
    assert expected.max() > 1e-3


def test_xgradcam_is_the_formula_of_the_paper_elsewhere(network, images):
    features, gradients = differentiated(network, images, "conv1")
    totals = features.sum((1, 2))
    weights = np.divide((features * gradients).sum((1, 2)), totals, out=np.zeros_like(totals), where=totals != 0)
    expected = np.maximum(np.einsum("nhwk,nk->nhw", features, weights), 0)
    maps = maps_of("xgradcam", network, images, "conv1")
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(maps - maps_of("gradcam", network, images, "conv1")).max() > 0.01 * maps.max()


def test_xgradcam_gives_a_dead_channel_no_weight():
    images = np.zeros((1, 2, 2, 2), "float32")
    images[0, ..., 0] = [[1, 2], [3, 4]]
    maps = maps_of("xgradcam", linear_network(np.ones((2, 2, 2))), images, targets=[0])
    np.testing.assert_allclose(maps[0], images[0, ..., 0])


def test_hirescam_is_cam_without_the_bias_on_a_gap_network(network, images):
    maps, class_maps = maps_of("hirescam", network, images), maps_of("cam", network, images)
    bias = network.get_layer("logits").bias.numpy()[TARGETS][:, None, None]
    np.testing.assert_allclose(maps[0].size * maps, np.maximum(class_maps - bias, 0), rtol=1e-4, atol=1e-5)
    assert maps.max() > 1e-3


def test_hirescam_and_layercam_multiply_element_by_element(network, images):
    features, gradients = differentiated(network, images, "conv1")
    hirescam = np.maximum((features * gradients).sum(-1), 0)
    layercam = np.maximum((features * np.maximum(gradients, 0)).sum(-1), 0)
    assert np.abs(hirescam - layercam).max() > 0.1 * layercam.max()
    np.testing.assert_allclose(maps_of("hirescam", network, images, "conv1"), hirescam, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(maps_of("layercam", network, images, "conv1"), layercam, rtol=1e-4, atol=1e-6)


def test_layercam_fuses_layers_by_the_maximum_of_scaled_maps(network, images):
    scaled = []
    for layer in ("conv1", "features"):
        features, gradients = differentiated(network, images, layer)
        maps = np.maximum((features * np.maximum(gradients, 0)).sum(-1), 0)
        maps = enlarged(maps, (12, 16))
        scaled.append(np.tanh(2 * maps / maps.max((1, 2), keepdims=True)))
    assert 0.02 < np.mean(scaled[0] > scaled[1]) < 0.98
    expected = np.maximum(*scaled)
    np.testing.assert_allclose(maps_of("layercam", network, images, ["conv1", "features"]), expected, atol=1e-4)
    together = maps_of("layercam", network, images, ["conv1", "features"], np.tile(np.arange(4), (5, 1)))
    np.testing.assert_allclose(together[np.arange(5), TARGETS], expected, atol=1e-4)


def test_layercam_fuses_a_map_that_is_zero_everywhere():
    black = np.zeros((1, 2, 2, 2), "float32")
    model = linear_network(np.ones((2, 2, 2)))
    np.testing.assert_array_equal(maps_of("layercam", model, black, ["features"], [0]), np.zeros((1, 2, 2)))


ONE_LAYER = ["cam", "gradcam", "gradcam_plus_plus", "xgradcam", "hirescam", "eigencam", "scorecam", "ablationcam"]


@pytest.mark.parametrize("name", ONE_LAYER)
def test_methods_of_one_layer_reject_a_list_before_any_pass(network, images, name, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=f"^{name} takes one layer and cannot fuse conv1, features; layercam can$"):
        kam.explain(network, images, name, layer=["conv1", "features"])


def test_eigencam_is_the_first_singular_direction_with_a_nonnegative_sum(images):
    keras.utils.set_random_seed(1)
    images, inputs = images - 0.5, keras.Input((12, 16, 3))
    features = layers.Conv2D(6, 3, padding="same", name="features")(inputs)  # of both signs
    model = randomised(keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(features))))
    matrices = array(cut(model, "features")[0](images)).astype("float64").reshape(5, -1, 6)
    expected = np.stack([matrix @ np.linalg.svd(matrix)[2][0] for matrix in matrices])
    expected *= np.sign(expected.sum(1, keepdims=True))
    assert (expected < 0).any()
    maps = maps_of("eigencam", model, images)
    np.testing.assert_allclose(maps.reshape(5, -1), expected, rtol=1e-3, atol=1e-4)
    several = maps_of("eigencam", model, images, targets=np.zeros((5, 3), int))
    np.testing.assert_array_equal(several, np.repeat(maps[:, None], 3, axis=1))


def scorecam_loop(model, images, layer, targets):
    """Score-CAM written out."""
    before = cut(model, layer)[0]
    maps = []
    for image, target in zip(images, targets):
        features = array(before(image[None])[0])
        masked = []
        for k in range(features.shape[-1]):
            mask = enlarged(features[None, ..., k], image.shape[:2])[0][..., None]
            spread = mask.max() - mask.min()
            masked.append(image * ((mask - mask.min()) / spread if spread else 0))
        weights = np.exp(model.predict(np.stack(masked), verbose=0)[:, target].astype("float64"))
        maps.append(np.maximum(features @ (weights / weights.sum()), 0))
    return np.stack(maps)


@pytest.mark.parametrize("layer", ["conv1", "features"])
def test_scorecam_is_a_loop_over_channels(network, images, layer):
    kernel, bias = network.get_layer("logits").get_weights()
    network.get_layer("logits").set_weights([30 * kernel, bias])  # so that the weights of channels differ
    channel = network.get_layer(layer).get_weights()
    channel[0][..., 2], channel[1][2] = 0, 0.7  # a constant channel
    network.get_layer(layer).set_weights(channel)
    expected = scorecam_loop(network, images[:2], layer, TARGETS)
    maps = raw_maps("scorecam", network, images[:2], TARGETS[:2], layer, batch_size=4)
    np.testing.assert_allclose(maps, expected, rtol=1e-4)
    assert np.abs(maps - array(cut(network, layer)[0](images[:2])).mean(-1)).max() > 0.05 * maps.max()


def test_scorecam_has_no_softmax_over_classes(network, images):
    squashed = gap_network(activation="softmax")
    squashed.set_weights(network.get_weights())
    np.testing.assert_allclose(maps_of("scorecam", squashed, images), maps_of("scorecam", network, images), rtol=1e-5)


def ablationcam_loop(model, images, layer, targets):
    before, behind = cut(model, layer)
    maps = []
    for image, target in zip(images, targets):
        features = array(before(image[None])[0])
        kept = [features]
        for k in range(features.shape[-1]):
            kept.append(features.copy())
            kept[-1][..., k] = 0
        score, *without = behind.predict(np.stack(kept), verbose=0)[:, target]
        maps.append(np.maximum(features @ ((score - np.array(without)) / abs(score)), 0))
    return np.stack(maps)


@pytest.mark.parametrize("layer", ["conv1", "features"])
def test_ablationcam_is_a_loop_over_channels_for_scores_of_both_signs(network, images, layer):
    targets, scores = np.array([0, 1, 2, 3]), np.array([-0.5, 0.5, -0.5, 0.5])
    network.get_layer("logits").bias.assign_add(scores - network.predict(images[:1], verbose=0)[0])
    one = np.repeat(images[:1], 4, axis=0)
    expected = ablationcam_loop(network, one, layer, targets)
    strongest = expected.reshape(4, -1).max(1)
    assert strongest[scores < 0].max() > 0 and strongest[scores > 0].max() > 0
    atol = 1e-5 * expected.max()
    np.testing.assert_allclose(maps_of("ablationcam", network, one, layer, targets), expected, rtol=1e-3, atol=atol)
    together = maps_of("ablationcam", network, images[:1], layer, targets[None])
    np.testing.assert_allclose(together[0], expected, rtol=1e-3, atol=atol)


def test_ablationcam_at_a_layer_with_a_skip_connection(images):
    inputs = keras.Input((12, 16, 3))
    stem = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(inputs)
    branch = layers.Conv2D(6, 3, padding="same", activation="relu", name="branch")(stem)
    total = layers.Add(name="sum")([stem, branch])
    model = randomised(keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(total))))
    features = array(keras.Model(inputs, branch)(images))
    means, dense = features.mean((1, 2)), model.layers[-1]
    score = model.predict(images, verbose=0)[np.arange(5), TARGETS]
    weights = means * dense.kernel.numpy()[:, TARGETS].T / np.abs(score)[:, None]
    expected = np.maximum(np.einsum("nhwk,nk->nhw", features, weights), 0)
    np.testing.assert_allclose(maps_of("ablationcam", model, images, "branch"), expected, rtol=1e-3, atol=1e-4)
