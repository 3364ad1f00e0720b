"""What every metric that asks a model has in common: what it takes, what it refuses, what it compiles."""

import inspect

import keras
import numpy as np
import pytest
from helpers import BACKEND, gap_network, randomised, traced
from test_curves import of

import keras_actmaps as kam
from keras_actmaps import metrics
from keras_actmaps.metrics.registry import find_metric

ASKING = [name for name, metric in metrics.METRICS.items() if "batch_size" in inspect.signature(metric).parameters]
QUICK = {"steps": 4, "samples": 3}  # of those that have them


def measured(name, model, images, e, **settings):
    metric = metrics.METRICS[name]
    known = inspect.signature(metric).parameters
    quick = {key: value for key, value in QUICK.items() if key in known}
    return metric(model, images, e, **quick, **settings)


def test_the_table():
    faithful = ["deletion", "insertion", "pixel_flipping", "road", "average_drop", "increase_in_confidence"]
    additive = ["sensitivity_n", "infidelity", "completeness_gap"]
    assert [*faithful, *additive, "max_sensitivity", "local_lipschitz"] == ASKING
    assert all(metrics.METRICS[name].better in ("higher", "lower") for name in ASKING)
    assert find_metric("road") is metrics.road
    with pytest.raises(ValueError, match="no metric 'rode'; there are: deletion, insertion, "):
        find_metric("rode")


@pytest.mark.parametrize("name", ASKING)
def test_a_number_an_image_that_does_not_hang_on_batches_probes_or_neighbours(name, images):
    model = gap_network(activation="softmax")
    e = kam.explain(model, images, "gradient_x_input", targets=[0, 1, 2, 3, 0])
    found = measured(name, model, images, e)
    assert found.shape == (5,) and np.isfinite(found).all()
    for other in (
        measured(name, kam.Probe(model), images, e, batch_size=2),
        measured(name, model, images[::-1].copy(), part(e, slice(None, None, -1)))[::-1],
        [measured(name, model, images[n : n + 1], part(e, slice(n, n + 1)))[0] for n in range(5)],
    ):
        np.testing.assert_allclose(other, found, rtol=2e-3, atol=2e-5)


def part(e, which):
    return kam.Explanation(e.maps[which], e.targets[which], e.scores[which], e.method, e.layer, settings=e.settings)


@pytest.mark.parametrize("name", ASKING)
def test_a_constant_map_gives_a_number(name, images):
    e = kam.explain(gap_network(), images, "saliency", targets=1)
    for value in (0, 0.7):
        constant = kam.Explanation(np.full_like(e.maps, value), e.targets, e.scores, "saliency", settings=e.settings)
        assert np.isfinite(measured(name, gap_network(activation="softmax"), images, constant)).all()


@traced
@pytest.mark.parametrize("name", ASKING)
def test_one_trace_for_a_stream_with_a_ragged_last_batch(name, images):
    model = gap_network()
    stream = [images, images[::-1].copy(), images[:3], images[:1]]
    explained = [kam.explain(model, batch, "gradient_x_input", targets=1) for batch in stream]
    probe = kam.Probe(model)
    compiled = []
    for batch, e in zip(stream, explained):
        measured(name, probe, batch, e, batch_size=4)
        compiled.append(probe.traces)
    assert compiled[0] > 0 and len(set(compiled)) == 1


@pytest.mark.parametrize("name", ASKING)
def test_the_model_is_left_as_it_was_and_asked_as_it_is_now(name, images):
    model = gap_network(activation="softmax")
    e = kam.explain(model, images, "gradient_x_input", targets=[0, 1, 2, 3, 0])
    before = [array.copy() for array in model.get_weights()]
    first = measured(name, model, images, e)
    assert all((old == new).all() for old, new in zip(before, model.get_weights()))
    assert model.get_layer("logits").activation is keras.activations.softmax
    other = gap_network(activation="softmax")
    weights = [np.random.default_rng(9).permuted(array.ravel()).reshape(array.shape) for array in before]
    other.set_weights(weights), model.set_weights(weights)
    np.testing.assert_allclose(measured(name, model, images, e), measured(name, other, images, e), rtol=1e-4, atol=1e-6)
    if name != "increase_in_confidence":
        assert not np.allclose(measured(name, model, images, e), first)


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(
    "maps, targets, error",
    [
        (np.zeros((5, 6, 8)), None, r"maps of shape \(5, 6, 8\) do not fit the images; they need \(5, 12, 16\)"),
        (np.zeros((4, 12, 16)), None, r"maps of shape \(4, 12, 16\) do not fit the images"),
        (np.zeros((5, 12, 16, 3)), None, r"maps of shape \(5, 12, 16, 3\) do not fit the images"),
        (np.zeros((5, 2, 12, 16)), np.zeros((5, 2), int), "maps of 2 targets an image; give those of one"),
        (np.full((5, 12, 16), np.nan), None, "map 0 holds NaN or Inf"),
        (np.zeros((5, 12, 16)), np.full(5, -1), "the maps explain a function of the outputs; give it as targets=fun"),
        (np.zeros((5, 12, 16)), np.full(5, 7), "no class 7; 'gap_network' has the classes 0 to 3"),
    ],
)
def test_what_does_not_fit_is_one_line_before_any_work(name, maps, targets, error, images, monkeypatch):
    monkeypatch.setattr(kam.Probe, "ask", lambda *_, **__: pytest.fail("the model was asked"))
    e = of(maps, np.zeros(len(maps), "int64") if targets is None else targets)
    with pytest.raises(ValueError, match=error) as caught:
        measured(name, gap_network(), images, e)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in ASKING if name not in ("max_sensitivity", "local_lipschitz")])
def test_a_function_of_the_outputs_is_measured_by_itself(name, images):
    """outputs -> outputs[:, 2], in each kind of score, is the logit of class 2."""
    model, maps = gap_network(), images.mean(-1)

    def third(outputs):
        return outputs[:, 2] + 30.0  # above 0, so that shares of it have a meaning

    shifted = gap_network()
    shifted.get_layer("logits").bias.assign_add([0, 0, 30.0, 0])
    found = measured(name, model, images, of(maps, np.full(5, -1)), targets=third)
    expected = measured(name, shifted, images, of(maps, np.full(5, 2)), score="logit")
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_softmax_is_taken_once(images):
    e = of(images.mean(-1), np.full(5, 2))
    settings = {"steps": 3, "score": "softmax"}
    inside = metrics.deletion_curve(gap_network(activation="softmax"), images, e, **settings)
    layer = metrics.deletion_curve(gap_network(softmax_layer=True), images, e, **settings)
    without = metrics.deletion_curve(gap_network(), images, e, **settings)
    np.testing.assert_allclose(inside, without, rtol=1e-5)
    np.testing.assert_allclose(layer, without, rtol=1e-5)
    predicted = gap_network(activation="softmax").predict(images, verbose=0)[:, 2]
    np.testing.assert_allclose(inside[:, 0], predicted, rtol=1e-4)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch modules need Keras on PyTorch")
@pytest.mark.parametrize("name", ASKING)
def test_a_torch_module_channels_first_is_measured_as_its_keras_twin(name, images):
    import torch

    model = keras.Sequential([keras.Input((12, 16, 3)), keras.layers.Conv2D(4, 3, activation="relu"),
                              keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)])  # fmt: skip
    kernel, bias, dense, shift = (torch.tensor(array) for array in randomised(model).get_weights())
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                                 torch.nn.Flatten(), torch.nn.Linear(4, 3)).eval()  # fmt: skip
    with torch.no_grad():
        for parameter, values in zip(module.parameters(), (kernel.permute(3, 2, 0, 1), bias, dense.T, shift)):
            parameter.copy_(values)
    found = []
    for one, given in ((model, images), (module, np.moveaxis(images, -1, 1))):
        e = kam.explain(one, given, "gradient_x_input", targets=1)
        found.append(measured(name, one, given, e))
    np.testing.assert_allclose(*found, rtol=2e-3, atol=1e-5)
