"""Models and arguments that have given wrong maps without a word: each a right map, a warning or an error."""

import keras
import numpy as np
import pytest
from helpers import FOR_CONVNETS, QUICK, array, enlarged, gap_network, outside_keras, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.core.cache import as_traced


def images_for(model, count=3, seed=0):
    return np.random.default_rng(seed).random((count, *model.input_shape[1:]), "float32")


def dense_network(top, name="model"):
    """Dense layers and a top, which is a layer or a function of the logits."""
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, "tanh")(inputs)
    return randomised(keras.Model(inputs, top(layers.Dense(4, name="logits")(hidden)), name=name))


class OwnSoftmax(layers.Layer):
    def call(self, inputs):
        return ops.softmax(inputs)


class OutsideSoftmax(layers.Layer):
    """A softmax that Keras cannot trace, as `tf.nn.softmax`."""

    def call(self, inputs):
        return ops.softmax(outside_keras(inputs))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape)


class OwnHead(layers.Layer):
    """A last layer with weights and a softmax that cannot be seen."""

    def __init__(self):
        super().__init__(name="own_head")
        self.dense = layers.Dense(4)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, inputs):
        return ops.softmax(outside_keras(self.dense(inputs)))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs.shape[0], 4))


def without_overflow(logits):
    exponentials = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    return exponentials / ops.sum(exponentials, axis=-1, keepdims=True)


SOFTMAXES = {
    "layer": layers.Softmax(),
    "activation layer": layers.Activation("softmax"),
    "operation": ops.softmax,
    "lambda": layers.Lambda(lambda x: ops.softmax(x)),
    "lambda outside Keras": layers.Lambda(lambda x: ops.softmax(outside_keras(x)), output_shape=(4,)),
    "activation lambda": layers.Activation(lambda x: ops.softmax(x)),
    "operations": lambda x: ops.exp(x) / ops.sum(ops.exp(x), axis=-1, keepdims=True),
    "operations without overflow": without_overflow,
    "operation without overflow": lambda x: ops.softmax(x - ops.max(x, axis=-1, keepdims=True)),
    "clipped": lambda x: ops.clip(ops.softmax(x), 1e-7, 1 - 1e-7),
    "exponential of the logarithm": lambda x: ops.exp(ops.log_softmax(x)),
    "logarithm": lambda x: ops.log(ops.softmax(x)),
    "half precision": lambda x: ops.cast(ops.softmax(ops.cast(x, "float16")), "float32"),
    "sigmoid in operations": lambda x: 1 / (1 + ops.exp(-x)),
    "sigmoid by tanh": lambda x: 0.5 * (ops.tanh(x / 2) + 1),
    "reshaped": lambda x: layers.Reshape((4,))(ops.softmax(x)),
    "own layer": OwnSoftmax(),
    "own layer outside Keras": OutsideSoftmax(),
}


@pytest.mark.parametrize("spelling", SOFTMAXES)
def test_a_softmax_is_taken_off_in_every_spelling(spelling):
    model, plain = dense_network(SOFTMAXES[spelling]), dense_network(layers.Identity())
    plain.set_weights(model.get_weights())
    inputs = images_for(model)
    e, expected = (kam.explain(one, inputs, "saliency", targets=1) for one in (model, plain))
    np.testing.assert_allclose(e.maps, expected.maps, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(e.scores, expected.scores, rtol=1e-4, atol=1e-5)


def test_probabilities_that_cannot_be_taken_off_are_said():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, OwnHead()(inputs))
    with pytest.warns(UserWarning, match="returns probabilities, and its softmax cannot be removed"):
        kam.explain(model, images_for(model), "saliency", targets=1)


BOUNDED = {
    "mean of two softmaxes": lambda x: layers.Average()([ops.softmax(x), ops.softmax(2 * x)]),
    "ensemble": lambda x: layers.Average()([layers.Dense(3, "softmax")(x), layers.Dense(3, "softmax")(x)]),
    "both sides of a sigmoid": lambda x: ops.concatenate([ops.sigmoid(x[:, :1]), 1 - ops.sigmoid(x[:, :1])], axis=-1),
    "hard sigmoid": layers.Activation("hard_sigmoid"),
    "sparsemax": layers.Activation("sparsemax"),
}


@pytest.mark.parametrize("top", BOUNDED)
def test_values_between_0_and_1_whose_function_is_no_softmax_are_said(top):
    model = dense_network(BOUNDED[top])
    with pytest.warns(UserWarning, match="returns probabilities, and its softmax cannot be removed"):
        kam.explain(model, images_for(model), "saliency", targets=1)


def positive_mean(x):
    return ops.mean(ops.relu(layers.Reshape((400, 4))(layers.Dense(1600)(x))), axis=1)


@pytest.mark.parametrize(
    "top", [layers.ReLU(), ops.tanh, positive_mean, lambda x: ops.sum(ops.softmax(x) * x, axis=-1, keepdims=True)]
)
def test_other_functions_at_the_output_are_explained_without_a_warning(top, recwarn):
    model = dense_network(top)
    e = kam.explain(model, images_for(model), "saliency", targets=0)
    np.testing.assert_allclose(e.scores, model.predict(images_for(model), verbose=0)[:, 0], rtol=1e-5)
    assert not [one for one in recwarn if "probabilities" in str(one.message)]


def test_a_quantized_kernel_is_dequantized():
    model = randomised(keras.Sequential([keras.Input((40,)), layers.Dense(30, "relu"), layers.Dense(3)]))
    inputs = np.random.default_rng(1).normal(size=(4, 40)).astype("float32")
    before = {method: kam.explain(model, inputs, method, targets=1) for method in ("lrp", "deeplift")}
    model.quantize("int8")
    for method, expected in before.items():
        e = kam.explain(model, inputs, method, targets=1)
        np.testing.assert_allclose(e.scores, model.predict(inputs, verbose=0)[:, 1], atol=0.05 * np.abs(e.scores).max())
        assert np.abs(e.maps - expected.maps).max() < 0.1 * np.abs(expected.maps).max()


@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.parametrize("change", ["lora", "quantize", "activation", "slope", "nested", "trainable"])
def test_a_model_that_was_changed_is_traced_again(probe, change):
    inner = keras.Sequential([keras.Input((7,)), layers.Dense(7), layers.ReLU(), layers.Dense(7)])
    model = randomised(keras.Sequential([keras.Input((8,)), layers.Dense(7, "relu"), inner, layers.Dense(3)]))
    inputs = images_for(model)
    subject = kam.Probe(model) if probe else model
    kam.explain(subject, inputs, "saliency", targets=0)
    if change == "lora":
        model.layers[0].enable_lora(2)
        model.layers[0].lora_kernel_b.assign(np.ones(model.layers[0].lora_kernel_b.shape))
    elif change == "quantize":
        model.quantize("int8")
    elif change == "slope":
        inner.layers[1].negative_slope = 0.5
    elif change == "nested":
        inner.pop()
        inner.add(randomised(keras.Sequential([keras.Input((7,)), layers.Dense(7)]), seed=9).layers[0])
    elif change == "trainable":
        model.layers[0].trainable = False
        model.layers[0].kernel.assign(-array(model.layers[0].kernel))
    else:
        model.layers[0].activation = keras.activations.tanh
    expected = array(model(inputs))[:, 0]
    np.testing.assert_allclose(
        kam.explain(subject, inputs, "saliency", targets=0).scores, expected, rtol=1e-3, atol=1e-4
    )


def sigmoid_network(**top):
    inputs = keras.Input((12, 16, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(inputs)
    x = layers.Dense(1, **top)(layers.GlobalAveragePooling2D()(x))
    return randomised(keras.Model(inputs, x), seed=3)


@pytest.mark.parametrize("method", ["saliency", "gradcam", "cam", "lrp", "integrated_gradients", "occlusion"])
def test_both_sides_of_one_sigmoid_have_opposite_signs(images, method):
    model = sigmoid_network(activation="sigmoid")
    logits = kam.explain(model, images, "saliency", targets=1).scores
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), model.predict(images, verbose=0)[:, 0], rtol=1e-4)
    settings = {"channels": "keep"} if method == "saliency" else {"patch": 4} if method == "occlusion" else {}
    sides = [kam.explain(model, images, method, targets=side, **settings) for side in (0, 1)]
    np.testing.assert_allclose(sides[0].scores, -sides[1].scores, rtol=1e-5)
    if method != "gradcam":  # which keeps what speaks for a side only
        np.testing.assert_allclose(sides[0].maps, -sides[1].maps, atol=1e-5 * np.abs(sides[1].maps).max())
    predicted = kam.explain(model, images, method, **settings)
    np.testing.assert_array_equal(predicted.targets, (logits > 0).astype(int))
    assert (predicted.scores >= 0).all()
    assert kam.explain(model, images, method, targets=np.array([0, 1, 1, 0, 1]), **settings).targets.tolist()[1] == 1


def test_a_regression_output_is_explained_as_it_is(images):
    model = sigmoid_network()
    e = kam.explain(model, images, "saliency")
    np.testing.assert_allclose(e.scores, model.predict(images, verbose=0)[:, 0], rtol=1e-5)
    with pytest.raises(ValueError, match="class 1 does not exist"):
        kam.explain(model, images, "saliency", targets=1)


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_one_hot_targets_are_classes(images, dtype):
    model, classes = gap_network(), np.array([2, 0, 3, 1, 1])
    e = kam.explain(model, images, "saliency", targets=np.eye(4, dtype=dtype)[classes])
    np.testing.assert_array_equal(e.targets, classes)
    stream = [(images, np.eye(4, dtype=dtype)[classes])]
    (found,) = kam.explain_dataset(model, stream, "saliency", targets="labels")
    np.testing.assert_array_equal(found.maps, e.maps)
    lists = kam.explain(model, images, "saliency", targets=[[0, 1, 2, 3]] * 5)
    assert lists.maps.shape[:2] == (5, 4)


@pytest.mark.parametrize("form", ["column", "float", "one-hot", "smoothed"])
def test_labels_of_a_stream_are_classes_in_every_form(images, form):
    model, classes = gap_network(), np.array([2, 0, 3, 1, 1])
    one_hot = np.eye(4)[classes]
    forms = {"column": classes[:, None], "float": classes.astype("float32"), "one-hot": one_hot}
    labels = forms.get(form, 0.9 * one_hot + 0.025)
    (found,) = kam.explain_dataset(model, [(images, labels)], "saliency", targets="labels")
    np.testing.assert_array_equal(found.targets, classes)


def test_rows_of_several_labels_are_no_lists_of_classes(images):
    rows = np.array([[1, 1, 0, 0]] * 4 + [[0, 1, 0, 0]])
    with pytest.raises(ValueError, match="as wide as the 4 classes, mark none or several classes in a row"):
        kam.explain(gap_network(), images, "saliency", targets=rows)
    with pytest.raises(ValueError, match=r"needs labels that are classes, .* got \(5, 4\)"):
        list(kam.explain_dataset(gap_network(), [(images, rows)], "saliency", targets="labels"))


class NeedsValues(layers.Layer):
    """A custom layer whose `call` cannot be traced."""

    def compute_output_shape(self, shape):
        return shape

    def call(self, inputs):
        if isinstance(inputs, keras.KerasTensor):
            raise TypeError("needs values")
        return ops.relu(inputs) * 2


class OwnCell(layers.Layer):
    def __init__(self):
        super().__init__()
        self.state_size, self.dense = 4, layers.Dense(4)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, inputs, states):
        state = ops.relu(self.dense(inputs) + states[0])
        return state, [state]


HIDDEN = {
    "own layer": lambda x: NeedsValues(name="hidden")(x),
    "lambda": lambda x: layers.Lambda(lambda x: NeedsValues()(x), name="hidden")(x),
    "recurrent": lambda x: layers.GRU(4, activation="relu", return_sequences=True, name="hidden")(sequence(x)),
    "own cell": lambda x: layers.RNN(OwnCell(), name="hidden")(sequence(x)),
    "time distributed": lambda x: layers.TimeDistributed(layers.GRU(4, "relu"), name="hidden")(x),
    "time distributed own layer": lambda x: layers.TimeDistributed(NeedsValues(), name="hidden")(x),
    "mapped": lambda x: ops.vectorized_map(ops.relu, x),
    "sign": lambda x: x * ops.cast(x > 0, "float32"),
    "where": lambda x: ops.where(x > 0, x, 0.1 * x),
    "absolute": lambda x: (x + ops.abs(x)) / 2,
    "maximum": lambda x: ops.maximum(x, 0.1 * x),
    "minimum": lambda x: x - ops.minimum(x, 0.0),
    "zeros": lambda x: ops.maximum(x, ops.zeros_like(x)),
}
REACHED = {
    "time distributed": lambda: layers.TimeDistributed(layers.Dense(4, "relu")),
    "twice": lambda: layers.TimeDistributed(layers.TimeDistributed(layers.Dense(4, "relu"))),
    "einsum": lambda: layers.EinsumDense("nhwc,cd->nhwd", (10, 14, 4), bias_axes="d", activation="relu"),
}


def sequence(x):
    return layers.Reshape((140, 4))(x)


@pytest.mark.parametrize("place", HIDDEN)
def test_a_relu_that_guided_rules_cannot_reach_is_an_error(images, place):
    inputs = keras.Input((12, 16, 3))
    x = HIDDEN[place](layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    for method in ("guided_backprop", "deconvnet", "guided_gradcam"):
        with pytest.raises(ValueError, match=f"{method} replaces the gradient of every ReLU, but layer '.+' [(]"):
            kam.explain(model, images, method)
    if not place.startswith("time"):  # slow to compile
        assert kam.explain(model, images, "saliency").maps.shape == (5, 12, 16)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
@pytest.mark.parametrize("place", REACHED)
def test_a_relu_in_a_wrapper_is_replaced_as_well(images, place, method):
    models = []
    for hidden in (REACHED[place], lambda: layers.Dense(4, "relu")):
        inputs = keras.Input((12, 16, 3))
        x = hidden()(layers.Conv2D(4, 3, activation="relu")(inputs))
        models.append(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    randomised(models[1])
    models[0].set_weights(models[1].get_weights())
    e, expected = (kam.explain(model, images, method, targets=1) for model in models)
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-5 * np.abs(expected.maps).max())


def test_rule_pass_needs_equal_shapes():
    inputs = keras.Input((7, 3))
    model = randomised(keras.Model(inputs, layers.Dense(2)(layers.LSTM(3, name="lstm")(inputs))))
    with pytest.raises(ValueError, match="rule 'pass' keeps relevance in place, but layer 'lstm'"):
        kam.explain(model, images_for(model), "lrp", rules={"lstm": "pass"})


def test_every_call_of_a_shared_layer_can_be_explained():
    encoder = keras.Sequential([keras.Input((12, 16, 3)), layers.Conv2D(3, 3, padding="same", name="conv")], name="enc")
    inputs = keras.Input((12, 16, 3))
    both = layers.Subtract()([encoder(inputs), encoder(ops.flip(inputs, axis=2))])
    model = randomised(keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(both))))
    pictures = images_for(model)
    first, second = (
        kam.explain(model, pictures, "hirescam", targets=1, layer=layer) for layer in ("enc@0/conv", "enc@1/conv")
    )
    assert (first.layer, second.layer) == ("enc@0/conv", "enc@1/conv")
    conv, dense = encoder.get_layer("conv"), model.layers[-1]
    weights = array(dense.kernel)[:, 1] / (12 * 16)
    for e, sign, seen in ((first, 1, pictures), (second, -1, pictures[:, :, ::-1])):
        expected = np.maximum((sign * weights * array(conv(seen))).sum(-1), 0)
        np.testing.assert_allclose(e.maps, expected, atol=1e-6)
    assert kam.explain(model, pictures, "hirescam", targets=1, layer="conv").maps.tobytes() == second.maps.tobytes()


def test_the_default_layer_lies_in_front_of_a_spatial_output():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="features")(inputs)
    model = randomised(keras.Model(inputs, layers.Activation("softmax")(layers.Conv2D(2, 1, name="masks")(x))))
    e = kam.explain(model, images_for(model), targets=lambda masks: ops.mean(masks[..., 1], axis=(1, 2)))
    assert e.layer == "features"


def test_the_default_layer_is_one_that_the_outputs_depend_on():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="trunk")(inputs)
    other = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="other")(x))
    model = keras.Model(inputs, [layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), other])
    single = randomised(keras.Model(inputs, model.outputs[0]))
    assert kam.Probe(single).layer == "trunk"


NO_SCORES = {
    "a scalar": ops.sum,
    "all classes": lambda y: y,
    "two classes": lambda y: y[:, :2],
    "complex": lambda y: ops.cast(y[:, 0], "complex64"),
}


@pytest.mark.parametrize("kind", NO_SCORES)
def test_a_function_that_returns_no_scores_is_an_error(images, kind):
    with pytest.raises(ValueError, match="a function as targets must return one score per input"):
        kam.explain(gap_network(), images, "saliency", targets=NO_SCORES[kind])


def test_scores_that_are_not_finite_are_an_error(images):
    with pytest.raises(ValueError, match="saliency: the score of input 0 is NaN or Inf"):
        kam.explain(gap_network(), images, "saliency", targets=lambda y: y[:, 0] * np.nan)
    with pytest.raises(ValueError, match=r"input \d (is|contains) NaN or Inf"):
        kam.explain(gap_network(), images * np.float32(1e38), "gradient_x_input")
    with pytest.raises(ValueError, match="inputs of type complex64 are not numeric"):
        kam.explain(gap_network(), images.astype("complex64"))


def test_only_known_suffixes_are_written(images, tmp_path):
    e = kam.explain(gap_network(), images)
    np.testing.assert_array_equal(np.load(e.save(tmp_path / "maps.npy")), e.maps)
    for name in ("map.jpg", "map", "map.npz.txt"):
        with pytest.raises(ValueError, match=r"must end in \.npz"):
            e.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["maps.npy"]


class AlwaysDrops(layers.Dropout):
    """Dropout at inference too, as for Monte Carlo estimates."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class DropsInCall(keras.Model):
    def __init__(self):
        super().__init__()
        self.noise, self.top = layers.Dropout(0.5, name="noise"), layers.Dense(2)

    def call(self, inputs):
        return self.top(ops.mean(self.noise(inputs, training=True), axis=(1, 2)))


def nested_noise():
    return keras.Sequential([keras.Input((12, 16, 3)), layers.Dropout(0.5)], name="noise")


NOISE = {
    "dropout": lambda x: layers.Dropout(0.5, name="noise")(x, training=True),
    "one": lambda x: layers.Dropout(0.5, name="noise")(x, training=1),
    "gaussian noise": lambda x: layers.GaussianNoise(0.5, name="noise")(x, training=True),
    "gaussian dropout": lambda x: layers.GaussianDropout(0.5, name="noise")(x, training=True),
    "spatial dropout": lambda x: layers.SpatialDropout2D(0.5, name="noise")(x, training=True),
    "alpha dropout": lambda x: layers.AlphaDropout(0.5, name="noise")(x, training=True),
    "batch normalization": lambda x: layers.BatchNormalization(name="noise")(x, training=True),
    "nested model": lambda x: nested_noise()(x, training=True),
}


@pytest.mark.parametrize("spelling", [*NOISE, "subclass"])
def test_a_layer_called_in_training_mode_is_said_and_explained_at_inference(images, spelling):
    if spelling == "subclass":
        model = DropsInCall()
        model(images)
    else:
        inputs = keras.Input((12, 16, 3))
        x = layers.GlobalAveragePooling2D()(NOISE[spelling](inputs))
        model = keras.Model(inputs, layers.Dense(2)(x))
    said = "called with training=True, but explained at inference: noise"
    for method in ("saliency", "gradient_x_input"):  # the second one on the cached trace
        with pytest.warns(UserWarning, match=said):
            e = kam.explain(model, images, method, targets=1, channels="keep")
    kernel = model.layers[-1].get_weights()[0]
    scale = np.sqrt(1 / 1.001) if spelling == "batch normalization" else 1
    np.testing.assert_allclose(e.maps, images * kernel[:, 1] * scale / (12 * 16), rtol=1e-4, atol=1e-7)
    with pytest.warns(UserWarning, match=said):
        list(kam.explain_dataset(model, [images], "saliency"))


STATEFUL = {
    "gru": lambda stateful: layers.GRU(4, name="recurrent", stateful=stateful),
    "both directions": lambda stateful: layers.Bidirectional(layers.LSTM(4, stateful=stateful), name="recurrent"),
}


@pytest.mark.parametrize("method", ["gradient_x_input", "lrp", "occlusion"])
@pytest.mark.parametrize("kind", STATEFUL)
def test_a_stateful_layer_is_explained_from_zeros_and_keeps_its_states(kind, method):
    inputs = keras.Input((7, 3), batch_size=2)
    stateful, untouched, plain = (
        keras.Model(inputs, layers.Dense(2)(STATEFUL[kind](stateful=is_stateful)(inputs)))
        for is_stateful in (True, True, False)
    )
    for model in (stateful, untouched):
        model.set_weights(plain.get_weights())
    series = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    for model in (stateful, untouched):
        model.predict(series, verbose=0)
    with pytest.warns(UserWarning, match="stateful, but explained from states of zeros, as after a reset: recurrent"):
        e = kam.explain(stateful, series, method, targets=1)
    np.testing.assert_allclose(e.maps, kam.explain(plain, series, method, targets=1).maps, atol=1e-6)
    found, expected = (model.predict(series, verbose=0) for model in (stateful, untouched))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_layer_that_is_random_at_inference_is_said(images):
    inputs = keras.Input((12, 16, 3))
    x = layers.GlobalAveragePooling2D()(AlwaysDrops(0.5, name="noise")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.warns(UserWarning, match="random at inference, so that maps differ from call to call: noise"):
        kam.explain(model, images, "occlusion", patch=6)


def test_maps_of_zeros_are_said(images):
    model = gap_network()
    model.get_layer("logits").set_weights([-np.ones((8, 4)), np.zeros(4)])
    with pytest.warns(UserWarning, match="gradcam: 5 of 5 maps are all zero"):
        kam.explain(model, images, "gradcam", targets=1)


def test_a_constant_channel_masks_everything_in_score_cam(images):
    model = gap_network()
    conv = model.get_layer("features")
    kernel, bias = conv.get_weights()
    kernel[..., 0], bias[0] = 0, 0.7
    conv.set_weights([kernel, bias])
    features = kam.feature_maps(model, images, "features")["features"]
    scores = []
    for channel in range(features.shape[-1]):
        maps = features[..., channel]
        resized = enlarged(maps, (12, 16))
        low, high = resized.min((1, 2), keepdims=True), resized.max((1, 2), keepdims=True)
        varies = np.ptp(maps, axis=(1, 2), keepdims=True) > 1e-6
        mask = np.where(varies, (resized - low) / np.maximum(high - low, 1e-12), 0)
        scores.append(model.predict(images * mask[..., None], verbose=0)[:, 1])
    weights = array(ops.softmax(ops.convert_to_tensor(np.stack(scores, 1))))
    expected = np.maximum(np.einsum("nhwk,nk->nhw", features, weights), 0)
    e = kam.explain(model, images, "scorecam", targets=1)
    np.testing.assert_allclose(
        e.maps, enlarged(expected.astype("float32"), (12, 16)), atol=2e-4 * np.abs(expected).max()
    )


def test_augmentation_is_switched_off_without_a_warning(images, recwarn):
    plain = gap_network()
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, plain(layers.RandomFlip(seed=1)(inputs)))
    e = kam.explain(model, images, "saliency", targets=1)
    assert not [warning for warning in recwarn if "training=True" in str(warning.message)]
    np.testing.assert_allclose(e.maps, kam.explain(plain, images, "saliency", targets=1).maps, rtol=1e-5, atol=1e-7)


def layout_pair():
    """The same network channels last and channels first."""
    models = []
    for layout in ("channels_last", "channels_first"):
        axis, shape = (-1, (12, 10, 3)) if layout == "channels_last" else (1, (3, 12, 10))
        inputs = keras.Input(shape)
        x = layers.Conv2D(4, 3, padding="same", activation="relu", data_format=layout, name="conv")(inputs)
        x = layers.BatchNormalization(axis=axis)(layers.MaxPooling2D(data_format=layout)(x))
        x = layers.ReLU()(layers.Conv2D(6, 3, padding="same", data_format=layout)(x))
        x = layers.Add(name="features")([x, layers.Conv2D(6, 1, data_format=layout)(x)])
        models.append(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D(data_format=layout)(x))))
    randomised(models[0])
    models[1].set_weights(models[0].get_weights())
    return models


@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_channels_first_models_get_the_maps_of_channels_last_ones(method):
    last, first = layout_pair()
    pictures = images_for(last)
    settings = QUICK.get(method, {})
    expected = kam.explain(last, pictures, method, targets=1, **settings)
    e = kam.explain(first, np.moveaxis(pictures, -1, 1), method, targets=1, **settings)
    assert e.layer == expected.layer
    np.testing.assert_allclose(e.scores, expected.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())


@pytest.mark.parametrize("layer", ["conv", "max_pooling2d", "features"])
def test_layers_of_channels_first_models(layer):
    last, first = layout_pair()
    names = [one.name for one in last.layers], [one.name for one in first.layers]
    layer = names[0].index(next(name for name in names[0] if name.startswith(layer)))
    pictures = images_for(last)
    expected = kam.explain(last, pictures, "hirescam", targets=2, layer=layer)
    e = kam.explain(first, np.moveaxis(pictures, -1, 1), "hirescam", targets=2, layer=layer)
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-5 * np.abs(expected.maps).max())


def test_a_probe_of_a_changed_model_is_traced_again_once():
    model = randomised(keras.Sequential([keras.Input((8,)), layers.Dense(7, "relu"), layers.Dense(3)]))
    probe = kam.Probe(model)
    model.layers[0].enable_lora(2)
    assert as_traced(probe) is not probe and as_traced(probe) is as_traced(probe)
