"""XRAI against a loop over regions, and its segments; tests/peers compares it with the package of its authors."""

import numpy as np
import pytest
from helpers import forbid_passes, gap_network, linear_network

import keras_actmaps as kam
from keras_actmaps.methods.xrai import rank_regions

OWN = np.arange(12)[:, None] // 4 * 3 + np.arange(16) // 6  # nine segments


def by_the_definition(values, masks, least):
    """Algorithm 1, with every gain computed anew; pixels that no region adds get their mean."""
    result, covered = np.full(values.shape, np.nan), np.zeros(values.shape, bool)
    while True:
        added = [mask & ~covered for mask in masks]
        gains = [values[new].mean() if new.sum() >= least else -np.inf for new in added]
        if max(gains) == -np.inf:
            break
        best = added[int(np.argmax(gains))]
        result[best] = max(gains)
        covered |= best
    result[~covered] = values[~covered].mean() if (~covered).any() else 0
    return result


@pytest.mark.parametrize("least", [1, 5, 30, 193])
def test_regions_are_added_by_the_mean_of_what_they_add(least):
    random = np.random.default_rng(least)
    values, masks = random.normal(size=(12, 16)), random.random((25, 12, 16)) < random.random((25, 1, 1))
    found = rank_regions(values, masks, least)
    np.testing.assert_allclose(found, by_the_definition(values, masks, least), rtol=1e-10)
    assert found.sum() == pytest.approx(values.sum())


def test_with_disjoint_segments_each_pixel_has_the_mean_of_its_segment(images):
    model, weights, _ = linear_network(images.shape[1:])
    settings = {"targets": 1, "segments": OWN, "min_area": 0, "batch_size": 3}
    extremes = (images.min((1, 2, 3), keepdims=True) + images.max((1, 2, 3), keepdims=True)) / 2
    for baseline, start in [("min_and_max", extremes), ("zero", 0 * images), (0.25, 0 * images + 0.25)]:
        contributions = (weights[..., 1] * (images - start)).max(-1)
        for ranking in ("full", "fast"):
            e = kam.explain(model, images, "xrai", baseline=baseline, ranking=ranking, **settings)
            for number in range(9):
                expected = contributions[:, number == OWN].mean(1, keepdims=True)
                np.testing.assert_allclose(
                    e.maps[:, number == OWN],
                    np.broadcast_to(expected, (5, (number == OWN).sum())),
                    rtol=1e-4,
                    atol=1e-5,
                )


@pytest.mark.parametrize("segments", ["superpixels", "slic", "grid", "felzenszwalb", lambda image: OWN])
def test_segments_of_every_kind(segments, images):
    if segments in ("slic", "felzenszwalb"):
        pytest.importorskip("skimage")
    one, two = (
        kam.explain(gap_network(), images[:2], "xrai", segments=segments, steps=2, min_area=a) for a in (0, 0.3)
    )
    assert np.isfinite(one.maps).all() and np.isfinite(two.maps).all()
    assert len(np.unique(one.maps[0])) >= len(np.unique(two.maps[0]))


@pytest.mark.parametrize("shape", [(6,), (9, 2), (5, 4, 6, 1)])
def test_inputs_of_every_rank(shape):
    model, weights, _ = linear_network(shape)
    inputs = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")
    e = kam.explain(model, inputs, "xrai", targets=0, baseline="zero", scales=[10**6], dilation=0, min_area=0, steps=1)
    contributions = weights[..., 0] * inputs  # segments of one pixel each
    np.testing.assert_allclose(
        e.maps, contributions if len(shape) == 1 else contributions.max(-1), rtol=1e-4, atol=1e-5
    )


def test_segments_grow_by_a_share_of_the_longest_side(images):
    found = []
    model, _, _ = linear_network(images.shape[1:])
    for dilation in (0, 0.02, 0.13):  # 0, 0 and 2 of 16 pixels
        e = kam.explain(model, images[:1], "xrai", segments="grid", scales=(2,), dilation=dilation, steps=1)
        found.append(e.maps[0])
    np.testing.assert_array_equal(found[0], found[1])
    best = found[2] == found[2].max()
    assert best.sum() > (found[0] == found[0].max()).sum() == 48


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"steps": 0}, "^steps must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"ranking": "slow"}, "^ranking must be 'full' or 'fast', got 'slow'$"),
        ({"scales": ()}, r"^scales must have at least one number, got \(\)$"),
        (
            {"segments": OWN.T},
            r"^segments of shape \(16, 12\) and type int64 do not fit; pass integer labels",
        ),
        (
            {"segments": np.zeros((2, 12, 16), bool)},
            r"masks of shape \(M, 12, 16\), of which one is not empty$",
        ),
        ({"baseline": np.zeros((3, 3))}, r"^a baseline of shape \(3, 3\) does not fit"),
        ({"min_area": 1}, "^min_area must be"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "xrai", **settings)


def test_felzenszwalb_needs_images():
    with pytest.raises(ValueError, match=r"needs images \(H, W, C\), not inputs of shape \(6,\); use 'superpixels'$"):
        kam.explain(linear_network((6,))[0], np.ones((1, 6)), "xrai", segments="felzenszwalb")
