"""Saliency, gradient x input, SmoothGrad, SquareGrad and VarGrad against finite differences, axioms and NumPy."""

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, raw_maps
from keras import layers

import keras_actmaps as kam
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.saliency import saliency


@pytest.fixture
def network():
    keras.utils.set_random_seed(1)
    return gap_network()


def smooth_network():
    """A network that has a second derivative everywhere."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6, 5, 2))
    x = layers.Conv2D(4, 3, activation="tanh")(inputs)
    x = layers.Conv2D(4, 2, activation="softplus")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def test_saliency_and_gradient_x_input_by_finite_differences():
    model, step = smooth_network(), 0.02
    images = np.random.default_rng(3).normal(size=(2, 6, 5, 2)).astype("float32")
    moved = np.eye(60, dtype="float32").reshape(60, 1, 6, 5, 2) * step
    up, down = (array(model(np.reshape(images + sign * moved, (-1, 6, 5, 2))))[:, 1] for sign in (1, -1))
    expected = ((up - down) / (2 * step)).reshape(60, 2).T.reshape(2, 6, 5, 2)
    tolerance = 1e-3 * np.abs(expected).max()

    def maps(name, **settings):
        return kam.explain(model, images, name, targets=1, **settings).maps

    np.testing.assert_allclose(maps("saliency", channels="keep"), expected, atol=tolerance)
    np.testing.assert_allclose(maps("saliency"), np.abs(expected).max(-1), atol=tolerance)
    np.testing.assert_allclose(maps("saliency", channels="sum"), expected.sum(-1), atol=2 * tolerance)
    np.testing.assert_allclose(maps("gradient_x_input"), (images * expected).sum(-1), atol=5 * tolerance)


def test_gradient_x_input_sums_to_the_score_of_a_network_of_relus_without_biases(images):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((12, 16, 3))
    x = layers.Conv2D(6, 3, activation="relu", use_bias=False)(inputs)
    x = layers.MaxPooling2D()(x)
    x = layers.Dense(5, activation="relu", use_bias=False)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(4, use_bias=False)(x))
    e = kam.explain(model, images, "gradient_x_input")
    np.testing.assert_allclose(e.maps.sum((1, 2)), e.scores, rtol=1e-4)
    assert np.abs(e.scores).min() > 0.05


@pytest.mark.parametrize("of", ["saliency", "gradient_x_input"])
def test_smoothgrad_without_noise_is_the_method_itself(network, images, of):
    expected = kam.explain(network, images, of).maps
    smooth = kam.explain(network, images, "smoothgrad", of=of, noise=0, samples=3).maps
    np.testing.assert_allclose(smooth, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    alone = kam.explain(network, images, "smoothgrad", of=of, noise=0, samples=1).maps
    np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    varied = kam.explain(network, images, "vargrad", of=of, noise=0, samples=3).maps
    assert varied.max() <= 1e-10 * np.abs(expected).max() ** 2


class Recorder:
    """A method, the gradient, that keeps the images that it is called on and its values."""

    def __init__(self):
        self.images, self.values = [], []
        texts = dict.fromkeys(("summary", "paper", "cost", "limitations"), "for tests")
        self.method = Method(
            name="recorder", function=self.record, single_pass=False, reduction="sum", needs=frozenset(), **texts
        )

    def record(self, traced, inputs, targets, context):
        values, _, _ = traced.run(saliency, inputs, targets, context=context)
        self.images.append(inputs)
        self.values.append(array(values))
        return Attribution(values)


REDUCTIONS = {
    None: lambda a: a.sum(-1),
    "sum": lambda a: a.sum(-1),
    "max": lambda a: np.abs(a).max(-1),
    "abs_max": lambda a: np.abs(a).max(-1),
    "keep": lambda a: a,
}


@pytest.mark.parametrize("channels", REDUCTIONS)
def test_mean_square_and_variance_over_the_same_noise(network, images, channels):
    expected = {"smoothgrad": np.mean, "squaregrad": lambda a, axis: np.mean(a**2, axis), "vargrad": np.var}
    for name, moment in expected.items():
        recorder = Recorder()
        maps = kam.explain(network, images, name, of=recorder.method, samples=6, seed=5, channels=channels).maps
        samples = np.stack(recorder.values).astype("float64")
        assert samples.shape == (6, 5, 12, 16, 3)
        np.testing.assert_allclose(maps, REDUCTIONS[channels](moment(samples, axis=0)), rtol=1e-4, atol=1e-9)


def test_noise_is_relative_to_the_value_range_of_each_image(network, images):
    images = images * np.array([1, 10, 0.1, 255, 0], "float32").reshape(-1, 1, 1, 1) + 7
    recorder = Recorder()
    kam.explain(network, images, "smoothgrad", of=recorder.method, samples=20, noise=0.3)
    noise = np.stack(recorder.images) - images
    ranges = images.max((1, 2, 3)) - images.min((1, 2, 3))
    np.testing.assert_allclose(noise.std((0, 2, 3, 4)), 0.3 * ranges, rtol=0.02)
    assert (np.abs(noise.mean((0, 2, 3, 4))) <= 0.02 * ranges).all()


@pytest.mark.parametrize("name", ["smoothgrad", "squaregrad", "vargrad"])
def test_closed_forms_where_the_score_is_quadratic(name):
    """Y = sum w x^2 / 2: the gradient w (x + e) has the mean w x and the variance w^2 s^2, s = 0.2 * 3."""
    weights = np.array([1, -2, 0.5], "float32")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(layers.Multiply()([inputs, inputs])))
    model.set_weights([weights[:, None] / 2])
    x = np.array([[1, 0, 3]], "float32")
    maps = kam.explain(model, x, name, noise=0.2, samples=4000, channels="sum").maps
    mean, variance = weights * x, (weights * 0.6) ** 2
    expected = {"smoothgrad": mean, "squaregrad": mean**2 + variance, "vargrad": variance[None]}[name]
    np.testing.assert_allclose(maps, expected, rtol=0.1, atol=0.06)


def test_the_map_depends_on_the_seed_only(network, images):
    first, again, other = (kam.explain(network, images, "smoothgrad", samples=4, seed=seed).maps for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01 * first.max()


def test_any_method_can_be_averaged_by_name_or_as_a_record(network, images):
    by_name = kam.explain(network, images, "smoothgrad", of="integrated_gradients", samples=2, noise=0.1).maps
    recorder = Recorder()
    kam.explain(network, images, "smoothgrad", of=recorder.method, samples=2, noise=0.1)
    targets = kam.explain(network, images, "saliency").targets
    expected = np.mean([raw_maps("integrated_gradients", network, noisy, targets) for noisy in recorder.images], axis=0)
    np.testing.assert_allclose(by_name, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    record = kam.METHODS["integrated_gradients"]
    by_record = kam.explain(network, images, "smoothgrad", of=record, samples=2, noise=0.1).maps
    np.testing.assert_array_equal(by_record, by_name)
    assert kam.explain(network, images, "smoothgrad", of="gradcam", samples=2).maps.max() > 0


CHANNELS = "'sum', 'abs_max', 'norm', 'max', 'keep' or None"
BAD = [
    ({"samples": 0}, "samples must be an integer >= 1 and <= 1,000,000, got 0"),
    ({"samples": 2.5}, "samples must be an integer >= 1 and <= 1,000,000, got 2.5"),
    ({"noise": -0.1}, "noise must be a finite number >= 0, got -0.1"),
    ({"noise": float("nan")}, "noise must be a finite number >= 0, got nan"),
    ({"seed": -1}, "seed must be an integer >= 0 and < 9,223,372,036,854,775,808, got -1"),
    ({"of": "sailency"}, f"of must be one of {', '.join(kam.METHODS)}, got 'sailency'"),
    ({"channels": "mean"}, f"channels must be {CHANNELS}, got 'mean'"),
    ({"of": "gradcam", "channels": "sum"}, "channels='sum', but the maps of gradcam have no channels to reduce"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
@pytest.mark.parametrize("name", ["smoothgrad", "squaregrad", "vargrad"])
def test_bad_settings_raise_one_line_before_any_pass(network, images, name, settings, message, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError) as error:
        kam.explain(network, images, name, **settings)
    assert str(error.value) == message
