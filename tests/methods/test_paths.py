"""Integrated, expected and blur integrated gradients against published values, closed forms and completeness."""

import keras
import numpy as np
import pytest
from helpers import forbid_passes, gap_network
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.methods.blur_ig import blurred


@pytest.fixture
def network():
    keras.utils.set_random_seed(1)
    return gap_network()


def table(function, features):
    """A model of a table whose only output is `function` of its columns."""
    inputs = keras.Input((features,))
    return keras.Model(inputs, ops.expand_dims(function(*ops.unstack(inputs, features, axis=1)), 1))


def linear(weights):
    """An image model whose score is sum w x."""
    inputs = keras.Input(weights.shape)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(layers.Flatten()(inputs)))
    model.set_weights([weights.reshape(-1, 1)])
    return model


def test_integrated_gradients_published_toy_values():
    """Sundararajan et al. 2017, appendix: f = relu(relu(x1) - 1 - relu(x2)) at (3, 1) gives 1.5 and -0.5."""
    model = table(lambda a, b: ops.relu(ops.relu(a) - 1 - ops.relu(b)), 2)
    e = kam.explain(model, np.array([[3, 1]], "float32"), "integrated_gradients", targets=0, tolerance=1e-3)
    np.testing.assert_allclose(e.maps, [[1.5, -0.5]], rtol=1e-3)
    np.testing.assert_allclose(e.scores, [1])
    assert abs(e.residual[0]) <= 1e-3


def test_two_gauss_legendre_nodes_are_exact_where_the_gradient_is_quadratic():
    """f = x1^2 x2 from 0: x1 gets 2/3 of the score and x2 1/3; the gradient along the path is of second degree."""
    model, x = table(lambda a, b: a * a * b, 2), np.array([[2, 3], [-1, 5]], "float32")
    e = kam.explain(model, x, "integrated_gradients", targets=0, steps=2)
    np.testing.assert_allclose(e.maps, e.scores[:, None] * [[2 / 3, 1 / 3]], rtol=1e-5)
    np.testing.assert_allclose(e.residual, 0, atol=1e-5)
    shifted = kam.explain(model, x, "integrated_gradients", targets=0, steps=2, baseline=1.0)
    np.testing.assert_allclose(shifted.maps.sum(1), e.scores - 1, rtol=1e-5)


def test_integrated_gradients_of_a_linear_score_for_every_baseline():
    random = np.random.default_rng(0)
    weights = random.normal(size=(4, 6, 3)).astype("float32")
    images = random.random((2, 4, 6, 3), "float32")
    own = random.random((4, 6, 3), "float32")
    starts = {"zero": 0 * images, "mean": np.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)}
    for baseline, start in [*starts.items(), (own, own), (0.5, 0.5)]:
        e = kam.explain(linear(weights), images, "integrated_gradients", targets=0, steps=1, baseline=baseline)
        np.testing.assert_allclose(e.maps, ((images - start) * weights).sum(-1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(e.residual, 0, atol=1e-5)
    kept = kam.explain(linear(weights), images, "integrated_gradients", targets=0, steps=1, channels="keep")
    np.testing.assert_allclose(kept.maps, images * weights, rtol=1e-4, atol=1e-6)
    highest = kam.explain(linear(weights), images, "integrated_gradients", targets=0, steps=1, channels="max")
    np.testing.assert_allclose(highest.maps, np.abs(images * weights).max(-1), rtol=1e-4)
    for other in (kept, highest):
        np.testing.assert_allclose(other.residual, 0, atol=1e-5)


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur"])
def test_pieces_are_halved_until_the_tolerance_is_reached(network, images, baseline):
    def largest(**settings):
        e = kam.explain(network, images, "integrated_gradients", baseline=baseline, **settings)
        totals = e.maps.sum((1, 2))
        return np.max(np.abs(e.residual) / np.abs(totals - e.residual)), e

    few, unrefined = largest(steps=15)
    refined, e = largest(tolerance=3e-3)
    assert refined <= 3e-3 * 1.01 < few
    assert unrefined.samples is None and (e.samples % 15 == 0).all() and e.samples.max() > 15
    starts = {"zero": 0 * images, "mean": images.mean((1, 2), keepdims=True) + 0 * images}
    if baseline in starts:
        begins = network.predict(starts[baseline], verbose=0)[np.arange(5), e.targets]
        np.testing.assert_allclose(e.maps.sum((1, 2)) - e.residual, e.scores - begins, atol=1e-5)


def test_a_small_tolerance_gives_the_map_of_many_steps(network, images):
    exact = kam.explain(network, images[:1], "integrated_gradients", steps=1500).maps[0]
    fine = kam.explain(network, images[:1], "integrated_gradients", tolerance=1e-4).maps[0]
    assert np.abs(fine - exact).max() < 0.02 * np.abs(exact).max()


def test_a_tolerance_is_met_image_by_image_with_one_program(network, images, tmp_path):
    traced, targets, settings = kam.Probe(network), np.array([0, 1, 2, 3, 1]), {"tolerance": 0.004, "batch_size": 5}
    kam.explain(traced, images[:2], "integrated_gradients", targets[:2], **settings)
    traces = traced.traces
    together = kam.explain(traced, images[:2], "integrated_gradients", targets[:2], **settings)
    assert traced.traces == traces
    together = kam.explain(traced, images, "integrated_gradients", targets, **settings)
    assert len(np.unique(together.samples)) > 1
    for number in range(5):
        e = kam.explain(network, images[[number]], "integrated_gradients", targets[[number]], tolerance=0.004)
        np.testing.assert_allclose(together.maps[number], e.maps[0], atol=1e-4 * np.abs(e.maps).max())
        assert together.samples[number] == e.samples[0]
    loaded = kam.Explanation.load(together[3].save(tmp_path / "maps.npz"))
    assert loaded.samples.tolist() == [together.samples[3]]


def test_only_the_piece_with_a_step_is_halved():
    def cliff(x, _):
        return ops.relu(2e4 * (x - 0.3)) - ops.relu(2e4 * (x - 0.3) - 2)  # from 0 to 2 within a ten-thousandth

    e = kam.explain(table(cliff, 2), np.ones((1, 2)), "integrated_gradients", targets=0, tolerance=0.01)
    np.testing.assert_allclose(e.maps, [[2, 0]], atol=0.021)
    assert 15 * 14 < e.samples[0] < 1000  # halving down to 2^-14, where equal pieces would be 16,384


def test_a_tolerance_that_is_not_reached_warns():
    with pytest.warns(UserWarning, match="tolerance=0.01 is not reached in 4096 passes; the residual is 1 of a diff"):
        step = table(lambda x, _: 1e-3 * x + ops.floor(x + 0.7), 2)  # a rise of 1 that no gradient has
        e = kam.explain(step, np.ones((1, 2)), "integrated_gradients", targets=0, tolerance=0.01)
    assert e.samples[0] <= 4096


def test_expected_gradients_of_a_linear_score_is_relative_to_the_mean_baseline():
    random = np.random.default_rng(0)
    weights = random.normal(size=(4, 6, 3)).astype("float32")
    images, baselines = random.random((2, 4, 6, 3), "float32"), random.random((8, 4, 6, 3), "float32")
    e = kam.explain(linear(weights), images, "expected_gradients", targets=0, baselines=baselines, samples=24)
    np.testing.assert_allclose(e.maps, ((images - baselines.mean(0)) * weights).sum(-1), atol=1e-5)
    np.testing.assert_allclose(e.residual, 0, atol=1e-5)


def test_expected_gradients_of_one_baseline_is_integrated_gradients(network, images):
    start = np.full((12, 16, 3), 0.4, "float32")
    expected = kam.explain(network, images, "integrated_gradients", baseline=start, steps=256).maps
    maps = kam.explain(network, images, "expected_gradients", baselines=start[None], samples=256).maps
    np.testing.assert_allclose(maps, expected, atol=0.03 * np.abs(expected).max())


def test_expected_gradients_of_a_quadratic_score():
    """Y = x^2 from a baseline b: (x - b) 2 (b + a (x - b)), in the mean over a x^2 - b^2."""
    x, baselines = np.array([[2.0]], "float32"), np.random.default_rng(1).normal(size=(50, 1)).astype("float32")
    model = table(lambda a: a * a, 1)
    e = kam.explain(model, x, "expected_gradients", targets=0, baselines=baselines, samples=4000)
    np.testing.assert_allclose(e.maps, [[4 - np.mean(baselines**2)]], rtol=0.02)
    np.testing.assert_allclose(e.residual, e.maps[:, 0] - (4 - np.mean(baselines**2)), atol=1e-4)


def test_expected_gradients_draws_pixels_of_the_image_itself():
    """Y = sum of the first channel: baselines of the image's own pixels have the same sum, so the map sums to 0."""
    weights = np.zeros((4, 6, 3), "float32")
    weights[..., 0] = 1
    images = np.random.default_rng(0).random((2, 4, 6, 3), "float32")
    e = kam.explain(linear(weights), images, "expected_gradients", targets=0, samples=400)
    np.testing.assert_allclose(e.maps.sum((1, 2)), 0, atol=1e-4)
    first = images[..., 0]
    np.testing.assert_allclose(e.maps, first - first.mean((1, 2), keepdims=True), atol=0.06)


def test_the_blur_is_a_gaussian_that_keeps_the_mean_and_composes():
    impulse = np.zeros((1, 41, 31, 1), "float32")
    impulse[0, 20, 15] = 1
    down, across = np.mgrid[-20:21, -15:16]
    for deviation in (0.3, 1, 2.5):
        spread = blurred(impulse, deviation)[0, ..., 0]
        assert spread.min() > -1e-6
        moments = [spread.sum(), (spread * down**2).sum(), (spread * across**2).sum()]
        np.testing.assert_allclose(moments, [1, deviation**2, deviation**2], rtol=2e-3)
    gaussian, spread = np.exp(-(down**2 + across**2) / (2 * 4**2)), blurred(impulse, 4)[0, ..., 0]
    np.testing.assert_allclose(spread, gaussian / gaussian.sum(), atol=0.02 * spread.max())
    image = np.random.default_rng(0).random((2, 9, 7, 3), "float32")
    np.testing.assert_allclose(blurred(image, 0), image, atol=1e-6)
    np.testing.assert_allclose(blurred(blurred(image, 1.2), 0.9), blurred(image, 1.5), atol=1e-5)
    np.testing.assert_allclose(blurred(image, 3).mean((1, 2)), image.mean((1, 2)), rtol=1e-5)


def test_blur_ig_of_a_linear_score_is_what_the_blur_removes():
    random = np.random.default_rng(0)
    weights = random.normal(size=(8, 10, 3)).astype("float32")
    images = random.random((2, 8, 10, 3), "float32")
    e = kam.explain(linear(weights), images, "blur_ig", targets=0, steps=3, sigma=0.4)
    np.testing.assert_allclose(e.maps, ((images - blurred(images, 4)) * weights).sum(-1), atol=1e-5)
    np.testing.assert_allclose(e.residual, 0, atol=1e-5)


def test_blur_ig_is_complete(network, images):
    e = kam.explain(network, images, "blur_ig", steps=512)
    total = e.scores - network.predict(blurred(images, 0.2 * 16), verbose=0)[np.arange(5), e.targets]
    np.testing.assert_allclose(e.maps.sum((1, 2)) - e.residual, total, atol=1e-5)
    assert (np.abs(e.residual) < 1e-2 * np.abs(total)).all()


COUNT = "an integer >= 1 and <= 1,000,000"
SHIFTED = np.zeros((5, 12, 16, 3))
BAD = [
    ("integrated_gradients", {"steps": 0}, f"steps must be {COUNT}, got 0"),
    ("integrated_gradients", {"steps": "many"}, f"steps must be {COUNT}, got 'many'"),
    ("integrated_gradients", {"tolerance": 0}, "tolerance must be a finite number > 0 or None, got 0"),
    (
        "integrated_gradients",
        {"baseline": "white"},
        "baseline must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number, an array or a dict",
    ),
    ("integrated_gradients", {"baseline": SHIFTED}, "a baseline of shape (5, 12, 16, 3) does not fit inputs"),
    (
        "integrated_gradients",
        {"channels": "mean"},
        "channels must be 'sum', 'abs_max', 'norm', 'max' or 'keep', got 'mean'",
    ),
    ("expected_gradients", {"samples": 0}, f"samples must be {COUNT}, got 0"),
    ("expected_gradients", {"seed": "a"}, "seed must be an integer >= 0 and < 9,223,372,036,854,775,808, got 'a'"),
    ("expected_gradients", {"baselines": SHIFTED[:3, :, 1:]}, "baselines of shape (3, 12, 15, 3) do not fit inputs"),
    ("expected_gradients", {"baselines": SHIFTED[:0]}, "baselines of shape (0, 12, 16, 3) do not fit inputs"),
    (
        "expected_gradients",
        {"baselines": SHIFTED[:1] + np.nan},
        "baselines must be an array, a dict from a name to an array or None, got an array",
    ),
    ("blur_ig", {"sigma": 0}, "sigma must be a finite number > 0, got 0"),
    ("blur_ig", {"steps": -3}, f"steps must be {COUNT}, got -3"),
]


@pytest.mark.parametrize(("name", "settings", "message"), BAD)
def test_bad_settings_raise_one_line_before_any_pass(network, images, name, settings, message, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError) as error:
        kam.explain(network, images, name, **settings)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_errors_for_tables_say_what_is_needed():
    model, rows = table(lambda a, b: a * b, 2), np.ones((3, 2), "float32")
    with pytest.raises(ValueError, match="cannot be reordered; pass baselines"):
        kam.explain(model, rows, "expected_gradients", targets=0)
    with pytest.raises(ValueError, match="no neighbors to blur; integrated_gradients works there"):
        kam.explain(model, rows, "blur_ig", targets=0)
