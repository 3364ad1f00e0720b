"""Models with several inputs, against closed forms, finite differences and the same network with one input."""

import keras
import numpy as np
import pytest
from helpers import QUICK, randomised
from keras import layers, ops

import keras_actmaps as kam


def linear_model():
    """Logits that are linear in an image (4, 5, 2) and a table (3,)."""
    image, table = keras.Input((4, 5, 2), name="image"), keras.Input((3,), name="table")
    flat = layers.Concatenate()([layers.Flatten()(image), table])
    return randomised(keras.Model({"image": image, "table": table}, layers.Dense(3, name="out")(flat)))


def linear_inputs(count=4):
    random = np.random.default_rng(0)
    return {"table": random.random((count, 3), "float32"), "image": random.random((count, 4, 5, 2), "float32")}


def contributions(model, inputs, target):
    """Weights times inputs of a linear model, summed over the channels of the image."""
    kernel = model.get_layer("out").get_weights()[0][:, target]
    return {"image": (inputs["image"] * kernel[:40].reshape(4, 5, 2)).sum(-1), "table": inputs["table"] * kernel[40:]}


def two_streams():
    """An image through convolutions and a table through a dense layer, with a product of the two."""
    image, table = keras.Input((8, 6, 3), name="image"), keras.Input((4,), name="table")
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(image)
    gate = layers.Dense(5, activation="relu")(table)
    x = layers.Multiply()([layers.GlobalAveragePooling2D()(x), gate])
    return randomised(keras.Model([image, table], layers.Dense(3, activation="softmax")(x)))


def stream_inputs(count=5):
    random = np.random.default_rng(3)
    return [random.random((count, 8, 6, 3), "float32"), random.random((count, 4), "float32")]


class Subclassed(keras.Model):
    """`two_streams` with its layers, as a subclass that takes a dict."""

    def __init__(self, model):
        super().__init__()
        self.conv = model.get_layer("conv")
        self.gate, self.head = (layer for layer in model.layers if isinstance(layer, layers.Dense))

    def call(self, inputs):
        x = ops.mean(self.conv(inputs["image"]), axis=(1, 2))
        return self.head(x * self.gate(inputs["table"]))


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "deeplift"])
def test_contributions_of_a_linear_model_are_weights_times_inputs(method):
    model, inputs = linear_model(), linear_inputs()
    e = kam.explain(model, inputs, method, targets=1)
    for name, expected in contributions(model, inputs, 1).items():
        np.testing.assert_allclose(e.maps[name], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.scores, model.predict(inputs, verbose=0)[:, 1], rtol=1e-4, atol=1e-5)


def test_maps_of_all_inputs_are_complete_together():
    model, inputs = two_streams(), stream_inputs()
    e = kam.explain(model, inputs, "integrated_gradients", steps=64)
    total = sum(part.reshape(5, -1).sum(1) for part in e.maps.values())
    zero = kam.explain(model, [np.zeros_like(array) for array in inputs], "saliency", targets=e.targets).scores
    np.testing.assert_allclose(total, e.scores - zero, atol=0.01 * np.abs(e.scores - zero).max())
    np.testing.assert_allclose(e.residual, total - (e.scores - zero), atol=1e-4)


def test_a_baseline_for_each_input():
    model, inputs = linear_model(), linear_inputs()
    baseline = {"image": "mean", "table": 0.5}
    e = kam.explain(model, inputs, "integrated_gradients", targets=2, baseline=baseline)
    means = inputs["image"].mean((1, 2), keepdims=True)
    shifted = {"image": inputs["image"] - means, "table": inputs["table"] - 0.5}
    for name, expected in contributions(model, shifted, 2).items():
        np.testing.assert_allclose(e.maps[name], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.residual, 0, atol=1e-4)


@pytest.mark.parametrize("method", ["expected_gradients", "deeplift_shap"])
def test_baselines_of_all_inputs_are_drawn_together(method):
    model, inputs, others = linear_model(), linear_inputs(), {k: v[::-1] for k, v in linear_inputs(6).items()}
    e = kam.explain(model, inputs, method, targets=0, baselines=others, samples=6)
    shifted = {name: inputs[name] - others[name].mean(0) for name in inputs}
    for name, expected in contributions(model, shifted, 0).items():
        np.testing.assert_allclose(e.maps[name], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["occlusion", "rise", "lime", "smoothgrad", "xrai", "guided_gradcam", "scorecam"])
def test_the_perturbed_input_gets_the_map_of_a_model_in_which_the_others_are_constant(method):
    model, (images, tables) = two_streams(), stream_inputs(2)
    settings = {"patch": 2} if method == "occlusion" else QUICK.get(method, {})
    e = kam.explain(model, [images, tables], method, targets=1, **settings)
    assert list(e.maps) == ["image"] and e.settings["perturb"] == "image"
    for row in range(2):
        image = keras.Input((8, 6, 3))
        table = ops.zeros_like(layers.Flatten()(image)[:, :4]) + tables[row]
        single = keras.Model(image, model([image, table]))
        expected = kam.explain(single, images[row : row + 1], method, targets=1, **settings)
        np.testing.assert_allclose(e.maps["image"][row], expected.maps[0], atol=1e-5 * np.abs(expected.maps).max())
        np.testing.assert_allclose(e.scores[row], expected.scores[0], rtol=1e-5)


def test_any_floating_input_can_be_perturbed():
    model, inputs = linear_model(), linear_inputs()
    e = kam.explain(model, inputs, "occlusion", targets=1, perturb="table", patch=1, stride=1)
    np.testing.assert_allclose(e.maps["table"], contributions(model, inputs, 1)["table"], rtol=1e-3, atol=1e-5)


def test_maps_at_a_layer_belong_to_the_input_that_leads_to_it():
    model, (images, tables) = two_streams(), stream_inputs()
    e = kam.explain(model, [images, tables], "gradcam", targets=[0, 1, 2, 1, 0])
    assert e.layer == "conv" and list(e.maps) == ["image"]
    features = ops.convert_to_numpy(keras.Model(model.inputs, model.get_layer("conv").output)([images, tables]))
    gate = ops.convert_to_numpy(next(layer for layer in model.layers if isinstance(layer, layers.Dense))(tables))
    weights = gate * model.layers[-1].get_weights()[0][:, e.targets].T / 48
    expected = np.maximum((features * weights[:, None, None]).sum(-1), 0)
    np.testing.assert_allclose(e.maps["image"], expected, atol=1e-5 * expected.max())


def test_swapped_inputs_of_a_siamese_network_swap_their_maps():
    left, right = keras.Input((6, 7, 1), name="left"), keras.Input((6, 7, 1), name="right")
    encoder = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPooling2D()], name="encoder")
    merged = layers.Subtract()([encoder(left), encoder(right)])
    model = randomised(keras.Model([left, right], layers.Dense(1, use_bias=False)(merged)))
    first, second = np.random.default_rng(0).random((2, 3, 6, 7, 1), "float32")

    def output(y):
        return y[:, 0]

    for method in ("saliency", "gradient_x_input", "lrp"):
        e, swapped = (kam.explain(model, pair, method, targets=output) for pair in ([first, second], [second, first]))
        sign = {"saliency": 1, "gradient_x_input": -1, "lrp": -1}[method]
        np.testing.assert_allclose(e.maps["left"], sign * swapped.maps["right"], atol=1e-5)
        np.testing.assert_allclose(e.maps["right"], sign * swapped.maps["left"], atol=1e-5)
        assert np.abs(e.maps["left"]).max() > 1e-3
    e = kam.explain(model, [first, second], "gradcam", targets=output, layer="encoder@0/" + encoder.layers[0].name)
    assert list(e.maps) == ["left"]


def probability(y):
    return y[:, 1]


@pytest.mark.parametrize("outside", [False, True])
def test_a_subclass_that_takes_a_dict_has_the_maps_of_the_functional_model(outside):
    model, (images, tables) = two_streams(), stream_inputs()
    subclassed = Subclassed(model)
    subclassed({"image": images, "table": tables})
    if outside:  # a branch on an unknown size cannot be traced
        traceable = subclassed.call
        subclassed.call = lambda inputs: traceable(inputs) if isinstance(inputs["table"].shape[0], int) else 1 / 0
    for method in ("saliency", "integrated_gradients", "rise") + (() if outside else ("lrp", "gradcam")):
        settings = {"samples": 6} if method == "rise" else {}
        expected = kam.explain(model, [images, tables], method, targets=probability, **settings)
        e = kam.explain(subclassed, {"table": tables, "image": images}, method, targets=probability, **settings)
        assert e.maps.keys() == expected.maps.keys()
        for name in e.maps:
            np.testing.assert_allclose(e.maps[name], expected.maps[name], atol=1e-5 * np.abs(e.maps[name]).max())


def test_integers_are_read_exactly_and_explained_at_their_embedding():
    words, table = keras.Input((3,), dtype="int32", name="words"), keras.Input((4,), name="table")
    x = layers.Concatenate()([layers.Flatten()(layers.Embedding(50_000, 2, name="table_of_words")(words)), table])
    model = randomised(keras.Model([words, table], layers.Dense(2, name="out")(x)))
    ids, tables = np.array([[49_999, 1, 7], [0, 12_345, 3]]), np.random.default_rng(0).random((2, 4), "float32")
    e = kam.explain(model, [ids, tables], "gradient_x_input", targets=0)
    kernel, embedded = model.get_layer("out").get_weights()[0][:, 0], model.get_layer("table_of_words").get_weights()[0]
    assert sorted(e.maps) == ["table", "words"]
    np.testing.assert_allclose(e.scores, model.predict([ids, tables], verbose=0)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(e.maps["table"], tables * kernel[6:], rtol=1e-5)
    np.testing.assert_allclose(e.maps["words"], (embedded[ids] * kernel[:6].reshape(3, 2)).sum(-1), rtol=1e-4)


def test_an_input_with_channels_first():
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow on a CPU has no channels-first convolutions for this oracle")
    image, table = keras.Input((3, 8, 6), name="image"), keras.Input((4,), name="table")
    first, last = two_streams(), None
    x = layers.Conv2D(5, 3, padding="same", activation="relu", data_format="channels_first", name="conv")(image)
    x = layers.Multiply()(
        [layers.GlobalAveragePooling2D("channels_first")(x), layers.Dense(5, activation="relu")(table)]
    )
    last = keras.Model([image, table], layers.Dense(3, activation="softmax")(x))
    last.set_weights(first.get_weights())
    images, tables = stream_inputs()
    for method in ("saliency", "gradcam", "occlusion"):
        expected = kam.explain(first, [images, tables], method, targets=1)
        e = kam.explain(last, [np.moveaxis(images, -1, 1), tables], method, targets=1)
        for name in expected.maps:
            np.testing.assert_allclose(e.maps[name], expected.maps[name], atol=1e-5)


def test_several_targets_batches_streams_and_files(tmp_path):
    model, inputs = two_streams(), stream_inputs()
    every = kam.explain(model, inputs, "saliency", targets="all", batch_size=2)
    assert every.maps["image"].shape == (5, 3, 8, 6) and every.maps["table"].shape == (5, 3, 4)
    one = kam.explain(model, inputs, "saliency", targets=2)
    for name in one.maps:
        np.testing.assert_allclose(every.maps[name][:, 2], one.maps[name], atol=1e-6)
    np.testing.assert_array_equal(one[1].maps["table"], one.maps["table"][1:2])
    assert len(one[1]) == 1 and len(one) == 5
    loaded = kam.Explanation.load(one.save(tmp_path / "maps.npz"))
    assert list(loaded.maps) == list(one.maps)
    np.testing.assert_array_equal(loaded.input("image").maps, one.maps["image"])
    labels = np.array([2, 2, 2, 2, 2])
    elements = [(tuple(array[i] for array in inputs), labels[i]) for i in range(5)]
    streamed = list(kam.explain_dataset(model, elements, "saliency", targets="labels", batch_size=2))
    assert [len(part) for part in streamed] == [2, 2, 1]
    np.testing.assert_allclose(np.concatenate([p.maps["image"] for p in streamed]), one.maps["image"], atol=1e-6)


BAD = {
    "pass a list or a dict of them, got a ndarray": lambda m, i: kam.explain(m, i[0]),
    "has the inputs image, table, got image": lambda m, i: kam.explain(m, {"image": i[0]}),
    "differ in length: image 5, table 4": lambda m, i: kam.explain(m, [i[0], i[1][:4]]),
    "input 'table' of shape .5, 3. does not fit": lambda m, i: kam.explain(m, [i[0], i[1][:, :3]]),
    "input 'table' of example 2 contains NaN": lambda m, i: kam.explain(m, [i[0], _with_nan(i[1])]),
    "perturb must be one of image, table, got 'sound'": lambda m, i: kam.explain(m, i, "rise", perturb="sound"),
    "saliency perturbs no input": lambda m, i: kam.explain(m, i, "saliency", perturb="image"),
    "no input 'sound'; choices: image, table": lambda m, i: kam.explain(
        m, i, "integrated_gradients", baseline={"sound": 0}
    ),
    "needs baselines: a dict of arrays by input": lambda m, i: kam.explain(m, i, "expected_gradients"),
    "maps by input .image, table.; select one": lambda m, i: kam.boxes(kam.explain(m, i, "saliency")),
    "no maps of input 'sound'": lambda m, i: kam.explain(m, i, "saliency").input("sound"),
}


def _with_nan(table):
    table = table.copy()
    table[2, 1] = np.nan
    return table


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments_get_one_line(message):
    with pytest.raises(ValueError, match=message) as caught:
        BAD[message](two_streams(), stream_inputs())
    assert "\n" not in str(caught.value)


def test_a_single_input_has_nothing_to_perturb_by_name(images):
    model = keras.Sequential([keras.Input((12, 16, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"perturb='image', but .* has a single input"):
        kam.explain(model, images, "rise", perturb="image", samples=2)
    with pytest.raises(ValueError, match=r"a baseline per input \(image\) does not fit a model with a single input"):
        kam.explain(model, images, "integrated_gradients", baseline={"image": 0})


OF_NEIGHBORS = ("max_sensitivity", "relative_input_stability")


@pytest.mark.parametrize("metric", ["deletion", "road", "sensitivity_n", "average_drop", *OF_NEIGHBORS, "coherency"])
def test_metrics_vary_the_input_of_the_maps(metric):
    model, (images, tables) = two_streams(), stream_inputs(2)
    settings = {"samples": 3} if metric in ("sensitivity_n", *OF_NEIGHBORS) else {}
    e = kam.explain(model, [images, tables], "gradient_x_input")
    found = getattr(kam.metrics, metric)(model, [images, tables], e.input("image"), **settings)
    for row in range(2):
        image = keras.Input((8, 6, 3))
        table = ops.zeros_like(layers.Flatten()(image)[:, :4]) + tables[row]
        single = keras.Model(image, model([image, table]))
        own = kam.explain(single, images[row : row + 1], "gradient_x_input", targets=e.targets[row : row + 1])
        expected = getattr(kam.metrics, metric)(single, images[row : row + 1], own, **settings)
        np.testing.assert_allclose(found[row], expected[0], rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match=r"select the maps of one input, one of image, table: explanation"):
        getattr(kam.metrics, metric)(model, [images, tables], e, **settings)


def test_methods_are_compared_on_the_input_that_is_perturbed():
    model, (images, tables) = two_streams(), stream_inputs()
    methods = ["gradient_x_input", ("occlusion", {"patch": 3})]
    explanations, table = kam.compare(model, [images, tables], methods, metrics=["deletion"], batch_size=3)
    for e, values in zip(explanations, table.values):
        assert e.maps.shape == (5, 8, 6) and e.settings["input"] == "image"
        np.testing.assert_allclose(values[0], kam.metrics.deletion(model, [images, tables], e), rtol=1e-4, atol=1e-5)
