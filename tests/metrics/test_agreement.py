"""Agreement, against the numbers of SciPy and scikit-image (peers/make_agreement.py) and closed forms."""

from pathlib import Path

import numpy as np
import pytest
from helpers.metrics import explanation_of

from keras_actmaps import Explanation
from keras_actmaps.metrics import spearman, ssim, top_k_overlap

PEERS = np.load(Path(__file__).parents[1] / "peers" / "agreement.npz")


def test_spearman_and_ssim_equal_scipy_and_scikit_image():
    one, two = explanation_of(PEERS["maps"]), explanation_of(PEERS["others"])
    np.testing.assert_allclose(spearman(one, two), PEERS["spearman"], atol=1e-12)
    np.testing.assert_allclose(ssim(one, two), PEERS["ssim"], atol=1e-6)


def test_scale_does_not_matter_and_a_map_agrees_with_itself():
    one = explanation_of(PEERS["maps"])
    for measure in (spearman, ssim, top_k_overlap):
        np.testing.assert_allclose(measure(one, one), 1, atol=1e-12)
        np.testing.assert_allclose(
            measure(one, explanation_of(8 * PEERS["others"])), measure(one, explanation_of(PEERS["others"])), atol=1e-12
        )


def test_constant_maps_have_defined_values():
    constant, ramp = np.full((1, 12, 13), 3.0), np.arange(156.0).reshape(1, 12, 13)
    for other, expected in ((constant, 1), (0 * constant, 1), (ramp, 0)):
        assert spearman(explanation_of(constant), explanation_of(other)) == expected
    assert ssim(explanation_of(0 * constant), explanation_of(0 * constant)) == 1
    c1 = 0.01**2  # (2 m1 m2 + C1) / (m1^2 + m2^2 + C1) with the means 1 and 0
    assert ssim(explanation_of(constant), explanation_of(0 * constant)) == pytest.approx(c1 / (1 + c1))


def test_absolute_ignores_the_sign():
    one, two = explanation_of(PEERS["maps"][[1]]), explanation_of(-PEERS["maps"][[1]])
    for measure, opposite in ((spearman, -1), (top_k_overlap, 0)):
        assert measure(one, two) == pytest.approx(opposite)
        assert measure(one, two, absolute=True) == pytest.approx(1)
    assert ssim(one, two) < 0 and ssim(one, two, absolute=True) == pytest.approx(1)


def test_the_overlap_counts_common_pixels():
    one, two = np.zeros((2, 1, 2, 5))
    one[0, 0], two[0, 0] = [5, 4, 3, 2, 1], [1, 4, 3, 0, 5]
    assert top_k_overlap(explanation_of(one), explanation_of(two), k=3) == pytest.approx(
        2 / 3
    )  # 5 4 3 . . and . 4 3 . 5
    assert top_k_overlap(explanation_of(one), explanation_of(two), k=0.2) == pytest.approx(1 / 2)  # 5 4 and 5 4
    constant = explanation_of(np.ones((1, 2, 5)))
    assert top_k_overlap(explanation_of(one), constant, k=3) == pytest.approx(3 / 10)  # what chance gives
    assert top_k_overlap(constant, constant, k=3) == pytest.approx(1)


def test_unrelated_maps_overlap_by_chance():
    random = np.random.default_rng(0)
    one, two = (explanation_of(random.normal(size=(400, 10, 10))) for _ in range(2))
    assert top_k_overlap(one, two, k=0.2).mean() == pytest.approx(0.2, abs=0.02)
    assert spearman(one, two).mean() == pytest.approx(0, abs=0.02)


def test_maps_of_any_rank():
    random = np.random.default_rng(0)
    for shape in ((3, 20), (3, 12, 13, 14)):
        one = explanation_of(random.normal(size=shape))
        for measure in (spearman, ssim, top_k_overlap):
            np.testing.assert_allclose(measure(one, one), 1)


@pytest.mark.parametrize("measure", [spearman, ssim, top_k_overlap])
def test_bad_maps_are_refused(measure):
    maps = np.random.default_rng(0).random((2, 12, 12))
    with pytest.raises(ValueError, match=r"maps of shape \(2, 12, 12\) cannot be compared with .*\(1, 12, 12\)"):
        measure(explanation_of(maps), explanation_of(maps[:1]))
    many = Explanation(maps[None], np.zeros((1, 2), int), np.zeros((1, 2)), "gradcam")
    with pytest.raises(ValueError, match="the explanation has maps of 2 targets per image; pass maps of one target"):
        measure(many, many)
    with pytest.raises(ValueError, match="map 1 contains NaN or Inf"):
        measure(explanation_of(np.stack([maps[0], maps[0] * np.nan])), explanation_of(maps))


def test_bad_settings_and_small_maps_are_refused():
    maps = explanation_of(np.ones((1, 10, 12)))
    with pytest.raises(ValueError, match=r"maps of shape \(10, 12\) are smaller than the window of SSIM, 11 pixels"):
        ssim(maps, maps)
    for k in (1.5, 121, 10**30):
        with pytest.raises(
            ValueError, match="k must be a number of pixels from 1 to 120, or a share of them below 1, got"
        ):
            top_k_overlap(maps, maps, k=k)
    for k in (0, -1, np.nan, "x", None, True):
        with pytest.raises(ValueError, match="k must be a finite number > 0, got"):
            top_k_overlap(maps, maps, k=k)
    for measure in (spearman, ssim, top_k_overlap):
        with pytest.raises(ValueError, match="absolute must be true or false, got 1"):
            measure(maps, maps, absolute=1)
        with pytest.raises(TypeError, match="explanation must be an Explanation, got ndarray"):
            measure(maps.maps, maps)
