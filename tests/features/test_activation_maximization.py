"""Gradient ascent: known optima, the properties it promises, and errors."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, gap_network, linear_network, randomised
from keras import layers

import keras_actmaps as kam
from keras_actmaps.features.activation_maximization import ascent_states

SIZE = (12, 16, 3)
UNREGULARIZED = {
    "parametrisation": "pixels",
    "certainty": 0,
    "variation": 0,
    "jitter": 0,
    "zoom": 0,
    "turn": 0,
    "noise": 0,
}


def last_state(*arguments, **settings):
    return list(ascent_states(*arguments, **settings))[-1]


def features_of(model, name="features"):
    return keras.Model(model.inputs, model.get_layer(name).output)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-2.0, 0.5)])
def test_pixels_of_a_linear_score_end_at_the_bound_that_the_sign_of_their_weight_selects(bounds):
    model, weights, _ = linear_network((6, 8, 3), 3)
    images = kam.ascent(model, [2, 0], steps=200, rate=0.3, bounds=bounds, **UNREGULARIZED)
    for image, wanted in zip(images, (2, 0)):
        weight = weights[..., wanted]
        np.testing.assert_array_equal(image > np.mean(bounds), weight > 0)
        highest, lowest = (np.where(weight > 0, *ends) for ends in (bounds[::-1], bounds))
        reached = (weight * (image - lowest)).sum() / (weight * (highest - lowest)).sum()
        assert reached > 0.98


def test_with_an_l2_penalty_ascent_ends_where_its_gradient_cancels_that_of_the_score():
    model, weights, _ = linear_network((6, 8, 3), 2)
    image = kam.ascent(model, 1, steps=300, l2=4.0, bounds=(-1.0, 3.0), **UNREGULARIZED)[0]
    slope = weights[..., 1] / np.sqrt(np.mean(weights[..., 1] ** 2))
    np.testing.assert_allclose(image, np.clip(1 + 4 * slope / (2 * 4.0), -1, 3), atol=0.02)


def test_a_larger_weight_of_the_total_variation_gives_smoother_images():
    model = gap_network(SIZE)
    rough, smooth = (kam.ascent(model, 1, steps=60, variation=weight) for weight in (0, 0.5))
    steps = [np.abs(np.diff(image, axis=1)).sum() + np.abs(np.diff(image, axis=2)).sum() for image in (rough, smooth)]
    assert steps[0] > 1.5 * steps[1]


@pytest.mark.parametrize("parametrisation", ["fourier", "pixels"])
def test_scores_rise_with_the_steps_on_average_over_seeds_and_exceed_those_of_noise(parametrisation):
    model = gap_network(SIZE)
    settings = {"steps": 128, "every": 16, "parametrisation": parametrisation, "certainty": 0}
    scores = np.mean(
        [[state.scores for state in ascent_states(model, "all", seed=seed, **settings)] for seed in range(3)], 0
    )
    assert (np.diff(scores, axis=0) > 0).all()
    noise = np.random.default_rng(0).random((500, *SIZE), "float32")
    real = model.predict(noise, verbose=0)
    assert (scores[-1] > real.max(axis=0) + 3 * real.std(axis=0)).all()


def test_certainty_keeps_another_class_from_having_a_higher_logit():
    model, weights, biases = linear_network((6, 8, 1), 2)
    weights[..., 0], weights[..., 1], biases[:] = 1, 0, 0
    weights[:, :5, :, 1] = 2  # all white: logits 48 and 60
    model.layers[-1].set_weights([weights.reshape(48, 2), biases])
    highest, certain = (model.predict(kam.ascent(model, 0, certainty=weight), verbose=0)[0] for weight in (0, 10))
    assert highest[0] > 45 and highest[1] > highest[0] + 5
    assert certain[0] > max(15, certain[1] + 1)


@pytest.mark.parametrize("settings", [{"activation": "softmax"}, {"softmax_layer": True}, {}])
def test_scores_are_the_logits_of_the_returned_images(settings):
    model = gap_network(SIZE, **settings)
    state = last_state(model, "all", steps=20)
    np.testing.assert_allclose(state.scores, np.diag(gap_network(SIZE).predict(state.images, verbose=0)), rtol=1e-4)


def test_the_score_of_a_channel_is_its_mean_over_space_and_of_a_neuron_its_activation():
    model = gap_network(SIZE)
    state = last_state(model, [3, 0], "features", steps=20)
    found = features_of(model).predict(state.images, verbose=0)
    np.testing.assert_allclose(state.scores, [found[0, ..., 3].mean(), found[1, ..., 0].mean()], rtol=1e-4)
    neurons = [(0, 7, 2), (5, 0, 6)]
    state = last_state(model, neurons, "features", steps=20)
    found = features_of(model).predict(state.images, verbose=0)
    np.testing.assert_allclose(state.scores, [found[n][place] for n, place in enumerate(neurons)], rtol=1e-4)


def test_a_neuron_leaves_pixels_outside_its_receptive_field_unchanged():
    image = kam.ascent(gap_network(SIZE), (1, 1, 4), "features", steps=20, **UNREGULARIZED)[0]
    changed = np.abs(image - 0.5).max(axis=-1) > 0
    assert changed[:7, :7].any() and not changed[7:].any() and not changed[:, 7:].any()  # two 3x3 around a 2x2 pool


@pytest.mark.parametrize("separate", [False, True])
def test_a_unit_that_is_inactive_at_the_start_is_excited(separate):
    inputs = keras.Input((6, 6, 1))
    layer = layers.Conv2D(2, 3, activation=None if separate else "relu", name="conv")
    outputs = layers.ReLU(name="relu")(layer(inputs)) if separate else layer(inputs)
    model = keras.Model(inputs, outputs)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 2)).astype("float32")
    best = np.maximum(kernel, 0).sum(axis=(0, 1, 2))
    model.get_layer("conv").set_weights([kernel, -0.5 * best - 0.5 * kernel.sum(axis=(0, 1, 2)).clip(0)])
    name = "relu" if separate else "conv"
    assert not model.predict(np.full((1, 6, 6, 1), 0.5, "float32"), verbose=0)[..., 1].any()
    state = last_state(model, (2, 2, 1), name, steps=200, rate=0.3, **UNREGULARIZED)
    wanted = best[1] + model.get_layer("conv").get_weights()[1][1]
    np.testing.assert_allclose(state.scores, [wanted], rtol=0.05)


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    model = gap_network(SIZE)
    first, again, other = (kam.ascent(model, [0, 1], steps=10, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.05


def test_an_image_depends_neither_on_the_other_targets_nor_on_the_steps_per_state():
    model = gap_network(SIZE)
    together = kam.ascent(model, [0, 3], steps=10)
    alone = kam.ascent(model, [3], steps=10)
    in_parts = last_state(model, [0, 3], steps=10, every=3)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-3)
    np.testing.assert_allclose(together, in_parts.images, atol=1e-3)
    assert in_parts.step == 10


def test_ascent_starts_from_the_image_passed_or_from_the_ground():
    start = np.random.default_rng(0).uniform(0.02, 0.98, (2, *SIZE)).astype("float32")
    images = kam.ascent(gap_network(SIZE), [0, 1], start=start, steps=1, rate=1e-4)
    np.testing.assert_allclose(images, start, atol=1e-3)
    one = kam.ascent(gap_network(SIZE), [0, 1], start=start[:1], steps=1, rate=1e-4)
    np.testing.assert_allclose(one, np.repeat(start[:1], 2, axis=0), atol=1e-3)
    ground = kam.ascent(gap_network(SIZE), 0, ground=0.2, noise=0, steps=1, rate=1e-4)
    np.testing.assert_allclose(ground, np.full((1, *SIZE), 0.2), atol=1e-3)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-123.68, 151.061)])
def test_images_stay_within_the_bounds(bounds):
    images = kam.ascent(gap_network(SIZE), "all", bounds=bounds, rate=5.0, steps=20)
    assert images.dtype == np.float32 and images.shape == (4, *SIZE)
    assert images.min() >= np.float32(bounds[0]) and images.max() <= np.float32(bounds[1])


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs as it goes: nothing is traced")
def test_one_program_for_any_seed_and_number_of_steps():
    traced = kam.Probe(gap_network(SIZE))
    for seed, steps in enumerate((70, 32, 5)):
        kam.ascent(traced, "all", steps=steps, seed=seed)
    assert traced.traces == 1


def test_later_weights_are_used_and_the_model_is_not_changed():
    model = gap_network(SIZE)
    before = [weight.copy() for weight in model.get_weights()]
    first = kam.ascent(model, 1, steps=10)
    for weight, kept in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, kept)
    randomised(model, seed=3)
    later = kam.ascent(model, 1, steps=10)
    other = randomised(gap_network(SIZE), seed=3)
    np.testing.assert_allclose(later, kam.ascent(other, 1, steps=10), atol=1e-3)
    assert np.abs(later - first).max() > 0.05


def test_reports_add_up_to_the_total():
    reports = []
    kam.ascent(gap_network(SIZE), [0, 1], steps=70, report=lambda done, total: reports.append((done, total)))
    assert len(reports) == 3 and {total for _, total in reports} == {sum(done for done, _ in reports)} == {140}


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"targets": 4}, "class 4 does not exist; 'gap_network' has classes 0 to 3"),
        ({"targets": [0, -1]}, "class -1 does not exist"),
        ({"targets": 1.5}, "targets must be classes .with a layer, channels or neurons. or 'all', got 1.5"),
        ({"targets": []}, r"got \[\]$"),
        ({"targets": (0, 1, 2)}, r"targets must be classes .*, got \(0, 1, 2\)"),
        ({"targets": [8], "layer": "features"}, "channel 8 does not exist; layer 'features' has channels 0 to 7"),
        (
            {"targets": (6, 0, 1), "layer": "features"},
            r"neuron \(6, 0, 1\) does not exist; the features of layer 'features' are \(6, 8, 8\)",
        ),
        (
            {"targets": [3, (0, 0, 1)], "layer": "features"},
            "targets must be channels, neurons .y, x, channel. or 'all', got",
        ),
        ({"targets": 0, "layer": "conv9"}, "no spatial layer 'conv9'"),
        ({"targets": 0, "layer": ["conv1", "features"]}, "ascent takes one layer"),
        ({"steps": 0}, "steps must be an integer >= 1 and <= 1,000,000, got 0"),
        ({"seed": -1}, "seed must be an integer >= 0 and .*, got -1"),
        ({"start": np.zeros((3, *SIZE))}, "start must be 1 image or one for each of 1 targets, got 3 images"),
        ({"start": np.full((1, *SIZE), 2.0)}, r"start must be within bounds=\(0.0, 1.0\), got values from 2 to 2"),
        ({"start": np.zeros((1, 5, 5, 3))}, "do not fit 'gap_network'"),
        ({"rates": 1}, "ascent has no setting 'rates'; it has: bounds, ground"),
        ({"parametrisation": "wavelets"}, "parametrisation must be 'fourier' or 'pixels', got 'wavelets'"),
        ({"bounds": (1.0, 0.0)}, r"bounds must be \(low, high\) with low < high.*, got \(1.0, 0.0\)"),
        ({"ground": 3.0}, r"ground must be within bounds=\(0.0, 1.0\), got 3.0"),
        ({"variation": -1.0}, "variation must be a finite number >= 0 and <= 1,000,000, got -1.0"),
    ],
)
def test_invalid_arguments_are_one_line_before_any_work(arguments, error, monkeypatch):
    monkeypatch.setattr(kam.Probe, "program", lambda *_, **__: pytest.fail("a program was compiled"))
    with pytest.raises(ValueError, match=error) as raised:
        kam.ascent(gap_network(SIZE), **{"targets": 0, **arguments})
    assert "\n" not in str(raised.value)


def test_errors_for_models_of_any_size_and_models_without_classes():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, layers.Conv2D(2, 3, name="maps")(inputs))
    with pytest.raises(ValueError, match=r"takes inputs of any size, .*; pass an image as start"):
        kam.ascent(model, 0, "maps")
    start = np.full((1, 7, 9, 1), 0.5, "float32")
    with pytest.raises(ValueError, match="are not class scores"):
        kam.ascent(model, 0, start=start)
    with pytest.raises(
        ValueError, match=r"neuron \(5, 0, 0\) does not exist; the features of layer 'maps' are \(5, 7, 2\)"
    ):
        kam.ascent(model, (5, 0, 0), "maps", start=start)
    state = last_state(model, (4, 6, 1), "maps", start=start, steps=5)
    np.testing.assert_allclose(state.scores, model.predict(state.images, verbose=0)[0, 4, 6, 1], rtol=1e-4)
    table = linear_network((5,))[0]
    with pytest.raises(ValueError, match=r"ascent needs a model of images \(H, W, C\), and .* takes \(5,\)"):
        kam.ascent(table, 0)
