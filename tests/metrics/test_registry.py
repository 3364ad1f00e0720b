"""What all metrics have in common: their records and settings, the inputs they refuse, what they compile."""

import inspect

import keras
import numpy as np
import pytest
from helpers import BACKEND, gap_network, randomised, traced
from helpers.metrics import explanation_of

import keras_actmaps as kam
from keras_actmaps import metrics
from keras_actmaps.core.settings import settings_of
from keras_actmaps.metrics import selection
from keras_actmaps.metrics.registry import find_metric

OF_MODELS = [name for name, metric in metrics.METRICS.items() if "model" in metric.requires]
OTHERS = ("deletion_curve", "insertion_curve", "road_curve", "spearman", "ssim", "top_k_overlap")  # not in METRICS
EXPLAIN_AGAIN = ("max_sensitivity", "local_lipschitz", "relative_input_stability", "coherency", "random_logit")
QUICK = {"steps": 4, "samples": 3}  # of those that have them
ODD = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        0.5,
        1.5,
        -0.5,
        10**30,
        -(10**30),
        np.nan,
        np.inf,
        1j,
        np.float32(0.5),
        np.int8(3),
    ),
    *("", "x", "zero", "softmax", "positive", "otsu", b"x", object(), int, Ellipsis, len, lambda: None),
    *((), [], {}, {"a": 1}, {1}, (1, 2), (1, 2, 3), [0.5], [0, 1], (None,), ("otsu",), [[1], [2, 3]], range(3)),
    *(np.zeros(0), np.zeros(()), np.full(3, np.nan), np.array(["a"]), np.array([None]), np.zeros((2, 2)), np.ones(3)),
)


def measure(name, model, images, e, **settings):
    function = getattr(metrics, name)
    known = inspect.signature(function).parameters
    quick = {key: value for key, value in QUICK.items() if key in known}
    return function(model, images, e, **quick | settings)


def test_the_records_describe_the_public_functions():
    """The positional parameters of each function match what its metric requires."""
    takes = {
        "model": ["model", "images", "explanation"],
        "masks": ["explanation", "masks"],
        "boxes": ["explanation", "boxes"],
        "": ["explanation"],
    }
    assert len(metrics.METRICS) == 29
    for name, metric in metrics.METRICS.items():
        assert metric.name == name and metric.function is getattr(metrics, name)
        parameters = inspect.signature(metric.function).parameters.values()
        positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
        assert positional == takes[next(iter(metric.requires), "")]
        assert metric.better in ("higher", "lower")
        assert all((metric.summary, metric.paper, metric.cost, metric.limitations))
        assert (metric.update is None) == (metric.compute is None)
        assert {"targets", "batch_size"}.isdisjoint(metric.settings)
        assert all(setting.meaning for setting in metric.settings.values())
        for setting in metric.settings.values():
            setting.validate(setting.default)


def test_metrics_are_found_by_name():
    masked = ["average_drop", "average_gain", "increase_in_confidence"]
    additive = ["sensitivity_n", "infidelity", "completeness_gap", "mu_fidelity"]
    curves = ["deletion", "insertion", "pixel_flipping", "road", "pic", "irof"]
    assert [*curves, *masked, *additive, *EXPLAIN_AGAIN] == OF_MODELS
    assert find_metric("road").function is metrics.road
    assert find_metric(metrics.METRICS["road"]) is metrics.METRICS["road"]
    for unknown in ("rode", None, 3, ["road"], metrics.road):
        with pytest.raises(ValueError, match=r"metric must be one of deletion, insertion, .*, got "):
            find_metric(unknown)


def test_metrics_that_are_not_defined_for_a_model_or_its_inputs_are_left_out(images):
    """And those that are left out raise ValueError there."""
    cases = [
        (gap_network(), images, 1, set()),
        (gap_network(), images, lambda outputs: outputs[:, 0], {"random_logit"}),
        (gap_network(classes=1), images, None, {"random_logit"}),
        (gap_network((12, 16, 5)), images.repeat(2, axis=-1)[..., :5], 1, {"pic"}),
        (gap_network((8, 16, 3)), images[:, :8], 1, {"random_logit"}),
    ]
    for model, inputs, targets, expected in cases:
        fitting = selection.fitting_metrics({}, kam.Probe(model), inputs, targets)
        assert set(selection.suitable_metrics({})) - set(fitting) == expected
        e = kam.explain(model, inputs, "saliency", targets=targets)
        for name in expected:
            with pytest.raises(ValueError, match=f"{name}|SSIM"):
                measure(name, model, inputs, e, targets=targets)


@pytest.fixture(scope="module")
def odd_case():
    """A compiled model, images, an Explanation and its truth."""
    images = np.random.default_rng(0).random((2, 12, 16, 3), "float32")
    probe = kam.Probe(gap_network())
    e = kam.explain(probe, images, "gradient_x_input", targets=1)
    return probe, images, e, {"masks": np.ones(e.maps.shape, bool), "boxes": [(0, 0, 5, 5)] * 2}


@pytest.mark.parametrize("name", [*metrics.METRICS, *OTHERS])
def test_odd_settings_give_values_or_a_one_line_value_error(name, odd_case):
    probe, images, e, truth = odd_case
    function, refused = getattr(metrics, name), 0
    known = settings_of(function)
    (needed,) = metrics.METRICS[name].requires or [""] if name in metrics.METRICS else [name]
    arguments = {
        "masks": (e, truth["masks"]),
        "boxes": (e, truth["boxes"]),
        "": (e,),
        "spearman": (e, e),
        "ssim": (e, e),
        "top_k_overlap": (e, e),
    }.get(needed, (probe, images, e))
    quick = {key: value for key, value in QUICK.items() if key in known}
    for setting in [*known, "unknown"]:
        for value in ODD:
            if setting in ("targets", "segments") and callable(
                value
            ):  # a function of the outputs, whose errors are the user's
                continue
            try:
                function(*arguments, **quick | {setting: value})
            except ValueError as error:
                assert "\n" not in str(error) and len(str(error)) < 300
                refused += 1
    assert refused >= len(ODD)


@pytest.mark.parametrize("name", [name for name, metric in metrics.METRICS.items() if metric.requires - {"model"}])
def test_odd_masks_and_boxes_give_values_or_a_one_line_value_error(name, odd_case):
    _, _, e, _ = odd_case
    for value in ODD:
        with pytest.raises(ValueError) as caught:
            getattr(metrics, name)(e, value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OF_MODELS)
def test_values_do_not_depend_on_batches_probes_or_other_images(name, images):
    model = gap_network(activation="softmax")
    e = kam.explain(model, images, "gradient_x_input", targets=[0, 1, 2, 3, 0])
    found = measure(name, model, images, e)
    assert found.shape == (5,) and (np.isfinite(found).all() or name == "pic")  # which is not defined for any image
    for other in (
        measure(name, kam.Probe(model), images, e, batch_size=2),
        measure(name, model, images[::-1].copy(), e[::-1])[::-1],
        [measure(name, model, images[n : n + 1], e[n])[0] for n in range(5)],
    ):
        np.testing.assert_allclose(other, found, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("name", OF_MODELS)
def test_a_constant_map_has_a_value(name, images):
    e = kam.explain(gap_network(), images, "saliency", targets=1)
    for value in (0, 0.7):
        constant = kam.Explanation(np.full_like(e.maps, value), e.targets, e.scores, "saliency", settings=e.settings)
        found = measure(name, gap_network(activation="softmax"), images, constant)
        assert np.isfinite(found).all() or name == "pic"


@traced
@pytest.mark.parametrize("name", OF_MODELS)
def test_one_trace_for_a_stream_with_a_ragged_last_batch(name, images):
    model = gap_network()
    stream = [images, images[::-1].copy(), images[:3], images[:1]]
    explained = [kam.explain(model, batch, "gradient_x_input", targets=1) for batch in stream]
    probe = kam.Probe(model)
    compiled = []
    for batch, e in zip(stream, explained):
        measure(name, probe, batch, e, batch_size=4)
        compiled.append(probe.traces)
    assert compiled[0] > 0 and len(set(compiled)) == 1


@pytest.mark.parametrize("name", OF_MODELS)
def test_the_model_does_not_change_and_its_present_weights_count(name, images):
    model = gap_network(activation="softmax")
    e = kam.explain(model, images, "gradient_x_input", targets=[0, 1, 2, 3, 0])
    before = [array.copy() for array in model.get_weights()]
    first = measure(name, model, images, e)
    assert all((old == new).all() for old, new in zip(before, model.get_weights()))
    assert model.get_layer("logits").activation is keras.activations.softmax
    other = gap_network(activation="softmax")
    weights = [np.random.default_rng(9).permuted(array.ravel()).reshape(array.shape) for array in before]
    other.set_weights(weights), model.set_weights(weights)
    np.testing.assert_allclose(measure(name, model, images, e), measure(name, other, images, e), rtol=1e-4, atol=1e-6)
    if name not in ("increase_in_confidence", "average_gain"):  # which may be 0 for both
        assert not np.allclose(measure(name, model, images, e), first)


@pytest.mark.parametrize("name", OF_MODELS)
@pytest.mark.parametrize(
    "maps, targets, error",
    [
        (
            np.zeros((5, 6, 8)),
            0,
            r"maps of shape \(5, 6, 8\) do not fit the images, which need maps of shape \(5, 12, 16\)",
        ),
        (np.zeros((4, 12, 16)), 0, r"maps of shape \(4, 12, 16\) do not fit the images"),
        (np.zeros((5, 12, 16, 3)), 0, r"maps of shape \(5, 12, 16, 3\) do not fit the images"),
        (
            np.zeros((5, 2, 12, 16)),
            np.zeros((5, 2), int),
            "the explanation has maps of 2 targets per image; pass maps of one target",
        ),
        (np.full((5, 12, 16), np.nan), 0, "map 0 contains NaN or Inf"),
        (np.zeros((5, 12, 16)), None, "the maps explain a function of the outputs; pass it as targets=function"),
        (np.zeros((5, 12, 16)), -1, "the maps explain a function of the outputs; pass it as targets=function"),
        (np.zeros((5, 12, 16)), 7, "class 7 does not exist; 'gap_network' has classes 0 to 3"),
    ],
)
@pytest.mark.usefixtures("no_passes")
def test_maps_that_do_not_fit_are_refused_before_any_work(name, maps, targets, error, images):
    e = explanation_of(maps, targets)
    with pytest.raises(ValueError, match=error) as caught:
        measure(name, gap_network(), images, e)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in OF_MODELS if name not in (*EXPLAIN_AGAIN, "average_gain")])
def test_a_function_of_the_outputs_is_measured_without_a_softmax(name, images):
    """outputs -> outputs[:, 2] is the logit of class 2, whatever the score."""
    model, maps = gap_network(), images.mean(-1)

    def third(outputs):
        return outputs[:, 2] + 30.0  # above 0, so that shares of it have a meaning

    shifted = gap_network()
    shifted.get_layer("logits").bias.assign_add([0, 0, 30.0, 0])
    found = measure(name, model, images, explanation_of(maps, None), targets=third)
    expected = measure(name, shifted, images, explanation_of(maps, 2), score="logit")
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_softmax_is_applied_once(images):
    e = explanation_of(images.mean(-1), 2)
    settings = {"steps": 3, "score": "softmax"}
    inside = metrics.deletion_curve(gap_network(activation="softmax"), images, e, **settings)
    layer = metrics.deletion_curve(gap_network(softmax_layer=True), images, e, **settings)
    without = metrics.deletion_curve(gap_network(), images, e, **settings)
    np.testing.assert_allclose(inside, without, rtol=1e-5)
    np.testing.assert_allclose(layer, without, rtol=1e-5)
    predicted = gap_network(activation="softmax").predict(images, verbose=0)[:, 2]
    np.testing.assert_allclose(inside[:, 0], predicted, rtol=1e-4)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch modules need Keras on PyTorch")
@pytest.mark.parametrize("name", OF_MODELS)
def test_a_channels_first_torch_module_has_the_values_of_the_same_keras_model(name, images):
    import torch

    model = keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    kernel, bias, dense, shift = (torch.tensor(array) for array in randomised(model).get_weights())
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    ).eval()
    with torch.no_grad():
        for parameter, values in zip(module.parameters(), (kernel.permute(3, 2, 0, 1), bias, dense.T, shift)):
            parameter.copy_(values)
    found = []
    for one, inputs in ((model, images), (module, np.moveaxis(images, -1, 1))):
        e = kam.explain(one, inputs, "gradient_x_input", targets=1)
        found.append(measure(name, one, inputs, e))
    np.testing.assert_allclose(*found, rtol=2e-3, atol=1e-5)
