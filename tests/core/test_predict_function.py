"""Plain functions from inputs to scores: the maps and metrics are those of the model behind them."""

import functools

import keras
import numpy as np
import pytest
from helpers import QUICK, gap_network
from keras import layers

import keras_actmaps as kam

NAMES = (
    *("occlusion", "feature_ablation", "rise", "lime", "kernel_shap", "shapley_sampling"),
    *("hsic", "sobol"),
)
SCORES_ONLY = {name: QUICK[name] for name in NAMES}


def logits_of(model):
    """A function of NumPy arrays that computes the logits of a model outside the package."""
    linear = keras.models.clone_model(model)
    linear.set_weights(model.get_weights())
    linear.layers[-1].activation = keras.activations.linear

    def predict(images):
        assert isinstance(images, np.ndarray) and images.dtype == np.float32 and len(images) <= 3
        return keras.ops.convert_to_numpy(linear(images))

    return predict


@pytest.mark.parametrize("method", SCORES_ONLY)
def test_maps_are_those_of_the_model_behind_the_function(method, images):
    model = gap_network(activation="softmax")
    settings = SCORES_ONLY[method]
    for targets in (None, 1, [0, 1, 2, 1, 0], "all"):
        expected = kam.explain(model, images, method, targets=targets, batch_size=3, **settings)
        e = kam.explain(logits_of(model), images, method, targets=targets, batch_size=3, **settings)
        np.testing.assert_array_equal(e.targets, expected.targets)
        np.testing.assert_allclose(e.scores, expected.scores, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(e.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())


def test_other_methods_say_why_not_and_which_do(images):
    function, fitting = logits_of(gap_network()), []
    support = kam.supported(function, inputs=images)
    for method in kam.METHODS:
        try:
            kam.explain(function, images[:1], method, batch_size=3, **SCORES_ONLY.get(method, {}))
            fitting.append(method)
        except ValueError as error:
            assert "which the function 'predict' does not have" in str(error) and support[method] == str(error)
    assert fitting == [name for name in kam.METHODS if name in SCORES_ONLY]
    advice = support["saliency"].rpartition(": ")[2].split(", ")
    assert advice == fitting == [name for name in fitting if support[name] is None]


@pytest.mark.parametrize("metric", ["deletion", "insertion", "pixel_flipping", "road", "average_drop", "sensitivity_n"])
def test_metrics_of_scores_are_those_of_the_model(metric, images):
    model = gap_network()
    e = kam.explain(model, images, "gradcam")
    settings = {"samples": 3} if metric == "sensitivity_n" else {}
    expected = getattr(kam.metrics, metric)(model, images, e, batch_size=3, **settings)
    found = getattr(kam.metrics, metric)(logits_of(model), images, e, batch_size=3, **settings)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_streams_tables_and_single_scores():
    rows = np.random.default_rng(0).random((4, 5)).astype("float32")
    weights = np.array([1.0, -2, 0, 3, 0.5])

    class Regressor:
        def score(self, table, scale):
            return scale * table @ weights

    function = functools.partial(Regressor().score, scale=2.0)
    e = kam.explain(function, rows, "occlusion", patch=1, stride=1)
    np.testing.assert_allclose(e.maps, 2 * rows * weights, rtol=1e-5, atol=1e-5)
    assert (e.targets == 0).all()
    streamed = list(kam.explain_dataset(function, [rows[:2], rows[2:]], "occlusion", patch=1, stride=1))
    np.testing.assert_allclose(np.concatenate([part.maps for part in streamed]), e.maps, rtol=1e-6)


def test_a_classifier_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    random = np.random.default_rng(0)
    table = random.normal(size=(60, 4)).astype("float32")
    classifier = linear_model.LogisticRegression().fit(table, (table[:, 0] - table[:, 2] > 0).astype(int))
    e = kam.explain(classifier.decision_function, table[:6], "kernel_shap", samples=16)
    np.testing.assert_allclose(e.maps, table[:6] * classifier.coef_[0], rtol=1e-4, atol=1e-5)
    assert set(kam.explain(classifier.predict_proba, table[:6], "lime").targets) <= {0, 1}


BAD = {
    "must return scores .N, classes. for N inputs, got shape .2,. for 1": lambda x: np.zeros(2),
    "must return scores .N, classes., got a dict": lambda x: {"scores": x},
    "returned NaN or Inf": lambda x: np.full((len(x), 2), np.nan),
    "class 5 does not exist": lambda x: np.zeros((len(x), 3)),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_functions_get_one_line(message, images):
    with pytest.raises(ValueError, match=message) as caught:
        kam.explain(BAD[message], images, "occlusion", targets=5)
    assert "\n" not in str(caught.value)


def test_layers_and_classes_are_no_functions(images):
    with pytest.raises(ValueError, match="layer='conv', but a function of inputs has no layers"):
        kam.explain(logits_of(gap_network()), images, "occlusion", layer="conv")
    for other in (keras.Model, layers.Dense(2)):
        with pytest.raises(TypeError, match="model must be a Keras model"):
            kam.explain(other, images, "occlusion")
    with pytest.raises(ValueError, match="pass inputs"):
        kam.supported(lambda x: x)


def test_a_loaded_saved_model_is_told_its_layer(images, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModel is TensorFlow's")
    import tensorflow as tf

    model = gap_network(activation="softmax")
    model.export(str(tmp_path / "saved"), verbose=False)
    with pytest.raises(TypeError, match=r"put keras.layers.TFSMLayer\(path, call_endpoint='serving_default'\) into a"):
        kam.explain(tf.saved_model.load(str(tmp_path / "saved")), images)
    layer = keras.layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serving_default")
    wrapped = keras.Sequential([keras.Input((12, 16, 3)), layer])
    with pytest.warns(UserWarning, match="returns probabilities, and its softmax cannot be removed"):
        e = kam.explain(wrapped, images, "saliency", targets=kam.targets.Output("output_0", 1))
    expected = kam.explain(model, images, "saliency", targets=lambda y: y[:, 1])
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-5 * expected.maps.max())


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow exports models that TFLite converts"
)
def test_a_tflite_model_has_the_maps_of_its_keras_model(tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    import tensorflow as tf

    model = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Flatten(), keras.layers.Dense(3, "tanh")])
    model.export(tmp_path / "saved", verbose=False)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert()
    runner = interpreter.Interpreter(model_content=content).get_signature_runner()
    (name,) = runner.get_input_details()
    images = np.random.default_rng(0).random((3, 6, 6, 2), "float32")
    expected = kam.explain(model, images, "occlusion", targets=1, patch=3)
    for size in (1, 2):
        e = kam.explain(
            lambda x: next(iter(runner(**{name: x}).values())), images, "occlusion", targets=1, batch_size=size, patch=3
        )
        np.testing.assert_allclose(e.maps, expected.maps, atol=1e-6)
