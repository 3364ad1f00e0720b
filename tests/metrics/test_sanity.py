"""Parameter randomization: the copy is the trained model until a layer is touched, and the model itself never is."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, array, captum_network, gap_network, outside_keras, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import Probe
from keras_actmaps.metrics import parameter_randomisation, sanity, spearman, ssim


def weights(model):
    return [array(variable) for variable in model.variables]


def norm_network():
    """Batch normalization in the middle: three layers with weights, and one that is called twice."""
    inputs = keras.Input((12, 16, 3))
    twice = layers.Dense(3, activation="relu", name="twice")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(twice(twice(inputs)))
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D(name="gap")(x))
    return randomised(keras.Model(inputs, layers.Softmax(name="softmax")(x), name="norm_network"))


@pytest.mark.parametrize("method", ["gradcam", "integrated_gradients", "lrp"])
@pytest.mark.parametrize("cascading", [True, False])
def test_the_first_maps_are_those_of_the_trained_model_which_does_not_change(images, method, cascading):
    model = gap_network(activation="softmax")
    before = weights(model)
    found = parameter_randomisation(model, images, method, cascading=cascading)
    for one, two in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(one, two)
    expected = kam.explain(model, images, method)
    np.testing.assert_allclose(found.before.maps, expected.maps, atol=1e-6 * np.abs(expected.maps).max())
    np.testing.assert_array_equal(found.before.targets, expected.targets)
    assert found.layers == ("logits", "features", "conv1")
    assert found.ssim.shape == found.spearman.shape == (3, 5)
    assert model.layers[-1].activation is keras.activations.softmax


def nested_network():
    """A backbone as a layer, in a Sequential in a functional model."""
    inputs = keras.Input((12, 16, 3))
    inner = keras.Model(inputs, layers.ReLU()(layers.Conv2D(4, 3, name="conv")(inputs)), name="inner")
    outer = keras.Sequential([keras.Input((12, 16, 3)), inner, layers.GlobalAveragePooling2D()], name="outer")
    return randomised(keras.Model(inputs, layers.Dense(4, name="logits")(outer(inputs))))


@pytest.mark.parametrize("network", [norm_network, nested_network])
def test_the_copy_has_all_weights_and_shares_none(images, network):
    model = network()
    own = sanity._copy_of(model, images)
    assert not {id(variable) for variable in own.variables} & {id(variable) for variable in model.variables}
    assert [variable.path for variable in own.weights] == [variable.path for variable in model.weights]
    for one, two in zip(weights(model), weights(own), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(array(own(images)), array(model(images)))
    assert parameter_randomisation(model, images, "saliency").layers[0] == "logits"


def steps(monkeypatch, model, images, **settings):
    """The weights of the copy at each explanation: those of the trained model, then after each layer."""
    seen = []

    def explain(probe, *args, **kwargs):
        seen.append({variable.path: array(variable) for variable in probe.variables})
        return kam.explain(probe, *args, **kwargs)

    monkeypatch.setattr(sanity, "explain", explain)
    found = parameter_randomisation(model, images, **settings)
    return seen, found


@pytest.mark.parametrize("cascading", [True, False])
def test_layers_are_permuted_from_the_top_each_once(monkeypatch, images, cascading):
    model = norm_network()
    seen, found = steps(monkeypatch, model, images, cascading=cascading, weights="permuted")
    assert found.layers == ("logits", "norm", "conv", "twice")
    trained = {variable.path: array(variable) for variable in model.weights}
    touched = []
    for number, values in enumerate(seen):
        changed = {path.split("/")[-2] for path, value in values.items() if not np.array_equal(value, trained[path])}
        assert changed == set(found.layers[(0 if cascading else max(number - 1, 0)) : number])
        for path, value in values.items():
            np.testing.assert_array_equal(np.sort(value, axis=None), np.sort(trained[path], axis=None))
        touched.append(values)
    if not cascading:  # every array of a layer is permuted
        for path in ("norm/gamma", "norm/moving_variance", "logits/bias", "logits/kernel"):
            here = next(name for name in trained if name.endswith(path))
            assert not np.array_equal(touched[found.layers.index(path.split("/")[0]) + 1][here], trained[here])


def test_kernels_are_drawn_around_0_with_their_standard_deviation(monkeypatch):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(64, 9, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(100, name="top"),
        ]
    )
    random = np.random.default_rng(7)
    kernels = [random.normal(3, scale, size) for scale, size in ((0.5, (9, 9, 1, 64)), (2, (64, 100)))]
    model.set_weights([kernels[0], np.arange(64.0), kernels[1], np.arange(100.0)])
    seen, _ = steps(monkeypatch, model, np.ones((1, 16, 16, 1)), method="saliency", targets=0)
    drawn = list(seen[-1].values())
    for kernel, trained in zip(drawn[::2], kernels):
        error = trained.std() / np.sqrt(trained.size)
        assert abs(kernel.mean()) < 4 * error and abs(kernel.std() - trained.std()) < 4 * error
        assert np.corrcoef(kernel.ravel(), trained.ravel())[0, 1] == pytest.approx(0, abs=4 / np.sqrt(trained.size))
    for bias in drawn[1::2]:
        assert (np.sort(bias) == np.arange(len(bias))).all() and (bias != np.arange(len(bias))).any()


def test_values_equal_those_of_a_model_with_the_same_weights(monkeypatch, images):
    model = gap_network()
    seen, found = steps(monkeypatch, model, images, method="gradient_x_input", absolute=True, seed=3)
    other = keras.models.clone_model(model)
    trained = kam.explain(model, images, "gradient_x_input")
    for number, values in enumerate(seen[1:]):
        other.set_weights([values[variable.path] for variable in model.weights])
        after = kam.explain(other, images, "gradient_x_input", targets=trained.targets)
        np.testing.assert_allclose(found.ssim[number], ssim(trained, after, absolute=True), atol=1e-5)
        np.testing.assert_allclose(found.spearman[number], spearman(trained, after, absolute=True), atol=1e-5)


def test_a_map_that_does_not_depend_on_the_randomized_layers_stays(images):
    """EigenCAM at a layer below the randomized ones."""
    found = parameter_randomisation(gap_network(), images, "eigencam", layer="conv1")
    np.testing.assert_allclose(found.ssim[:2], 1, atol=1e-6)
    np.testing.assert_allclose(found.spearman[:2], 1, atol=1e-6)
    assert found.spearman[2].mean() < 0.9


def test_permuted_weights_of_a_linear_model():
    """Gradients of a linear model are its weights: permuted ones have the rank correlation of the two."""
    model = keras.Sequential([keras.Input((16, 16, 1)), layers.Flatten(), layers.Dense(1)])
    kernel = np.random.default_rng(0).normal(size=(256, 1)).astype("float32")
    model.layers[-1].set_weights([kernel, np.zeros(1)])
    found = parameter_randomisation(
        model, np.ones((1, 16, 16, 1)), "saliency", targets=0, channels="sum", seed=5, weights="permuted"
    )
    permuted = np.random.default_rng(5).permutation(kernel.ravel())
    ranks = [np.argsort(np.argsort(one)) for one in (kernel.ravel(), permuted)]
    assert found.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-6)


def test_the_seed_determines_the_draws(images):
    one, two, other = (parameter_randomisation(gap_network(), images, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.spearman, two.spearman)
    assert not np.array_equal(one.spearman, other.spearman)


def test_a_compiled_model_with_a_lambda_and_a_function_of_the_outputs(images):
    model = keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            layers.Conv2D(4, 3),
            layers.Lambda(lambda x: ops.tanh(x)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mse")
    randomised(model)
    found = parameter_randomisation(model, images, "saliency", targets=lambda outputs: outputs[:, 0] - outputs[:, 1])
    assert found.before.targets is None and found.ssim.shape == (2, 5)


class Plain(keras.Model):
    """A subclassed model that is in no registry; with `inside`, of operations that Keras cannot trace."""

    def __init__(self, inside=False):
        super().__init__(name="plain")
        self.inside = inside
        self.conv, self.top = layers.Conv2D(4, 3, name="conv"), layers.Dense(2, name="top")

    def call(self, x):
        x = ops.relu(self.conv(x))
        return self.top(ops.mean(outside_keras(x) if self.inside else x, (1, 2)))

    def get_config(self):
        return {"inside": self.inside}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@pytest.mark.parametrize("inside", [False, True])
def test_subclassed_models(images, inside):
    model = Plain(inside)
    model(images)
    randomised(model)
    before = weights(model)
    found = parameter_randomisation(model, images, "saliency")
    assert found.layers == ("top", "conv")
    np.testing.assert_array_equal(before[0], weights(model)[0])
    np.testing.assert_allclose(found.before.maps, kam.explain(model, images, "saliency").maps, atol=1e-6)


def test_models_that_cannot_be_copied_and_bad_settings_are_refused(images):
    class Stubborn(Plain):
        def __init__(self, needed):
            super().__init__()

    model = Stubborn("this")
    model(images)
    with pytest.raises(ValueError, match=r"Stubborn cannot be copied: .*; define get_config\(\)"):
        parameter_randomisation(model, images, "saliency")
    with pytest.raises(ValueError, match="weights must be 'normal' or 'permuted', got 'zero'"):
        parameter_randomisation(gap_network(), images, weights="zero")
    with pytest.raises(ValueError, match="works on a copy of the model, and a Probe cannot be copied; pass the model"):
        parameter_randomisation(Probe(gap_network()), images)
    with pytest.raises(ValueError, match=r"smaller than the window of SSIM, 11 pixels"):
        parameter_randomisation(captum_network(), np.ones((1, 4, 4, 1)), "saliency")


@pytest.mark.skipif(BACKEND != "torch", reason="modules are explained with Keras on PyTorch")
def test_a_torch_module():
    import torch

    torch.manual_seed(0)
    nn = torch.nn
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *pooled, nn.Linear(4, 3)).eval()
    images = np.random.default_rng(0).random((2, 3, 14, 13), "float32")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = parameter_randomisation(module, images, "gradient_x_input")
    assert found.layers == ("5", "1", "0")
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    np.testing.assert_allclose(found.before.maps, kam.explain(module, images, "gradient_x_input").maps, atol=1e-6)
    assert (found.spearman < 0.99).all()
