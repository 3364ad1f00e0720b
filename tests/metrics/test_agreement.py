"""Agreement, against SciPy's and scikit-image's numbers (peers/make_agreement.py) and closed forms."""

from pathlib import Path

import numpy as np
import pytest

from keras_actmaps import Explanation
from keras_actmaps.metrics import spearman, ssim, top_k_overlap

PEERS = np.load(Path(__file__).parents[1] / "peers" / "agreement.npz")


def explained(maps):
    maps = np.asarray(maps, "float32")
    return Explanation(maps, np.zeros(len(maps), int), np.zeros(len(maps)), "gradcam")


def test_spearman_and_ssim_are_scipys_and_scikit_images():
    one, two = explained(PEERS["maps"]), explained(PEERS["others"])
    np.testing.assert_allclose(spearman(one, two), PEERS["spearman"], atol=1e-12)
    np.testing.assert_allclose(ssim(one, two), PEERS["ssim"], atol=1e-6)


def test_a_scale_changes_nothing_and_a_map_is_like_itself():
    one = explained(PEERS["maps"])
    for measure in (spearman, ssim, top_k_overlap):
        np.testing.assert_allclose(measure(one, one), 1, atol=1e-12)
        np.testing.assert_allclose(
            measure(one, explained(8 * PEERS["others"])), measure(one, explained(PEERS["others"])), atol=1e-12
        )


def test_constant_maps_have_defined_values():
    constant, ramp = np.full((1, 12, 13), 3.0), np.arange(156.0).reshape(1, 12, 13)
    for other, expected in ((constant, 1), (0 * constant, 1), (ramp, 0)):
        assert spearman(explained(constant), explained(other)) == expected
    assert ssim(explained(0 * constant), explained(0 * constant)) == 1
    c1 = 0.01**2  # (2 m1 m2 + C1) / (m1^2 + m2^2 + C1) with the means 1 and 0
    assert ssim(explained(constant), explained(0 * constant)) == pytest.approx(c1 / (1 + c1))


def test_absolute_forgets_the_sign():
    one, two = explained(PEERS["maps"][[1]]), explained(-PEERS["maps"][[1]])
    for measure, opposite in ((spearman, -1), (top_k_overlap, 0)):
        assert measure(one, two) == pytest.approx(opposite)
        assert measure(one, two, absolute=True) == pytest.approx(1)
    assert ssim(one, two) < 0 and ssim(one, two, absolute=True) == pytest.approx(1)


def test_the_overlap_counts_common_pixels():
    one, two = np.zeros((2, 1, 2, 5))
    one[0, 0], two[0, 0] = [5, 4, 3, 2, 1], [1, 4, 3, 0, 5]
    assert top_k_overlap(explained(one), explained(two), k=3) == pytest.approx(2 / 3)  # 5 4 3 . . and . 4 3 . 5
    assert top_k_overlap(explained(one), explained(two), k=0.2) == pytest.approx(1 / 2)  # 5 4 and 5 4
    constant = explained(np.ones((1, 2, 5)))
    assert top_k_overlap(explained(one), constant, k=3) == pytest.approx(3 / 10)  # what chance gives
    assert top_k_overlap(constant, constant, k=3) == pytest.approx(1)


def test_unrelated_maps_share_what_chance_gives():
    random = np.random.default_rng(0)
    one, two = (explained(random.normal(size=(400, 10, 10))) for _ in range(2))
    assert top_k_overlap(one, two, k=0.2).mean() == pytest.approx(0.2, abs=0.02)
    assert spearman(one, two).mean() == pytest.approx(0, abs=0.02)


def test_maps_of_any_rank():
    random = np.random.default_rng(0)
    for shape in ((3, 20), (3, 12, 13, 14)):
        one = explained(random.normal(size=shape))
        for measure in (spearman, ssim, top_k_overlap):
            np.testing.assert_allclose(measure(one, one), 1)


@pytest.mark.parametrize("measure", [spearman, ssim, top_k_overlap])
def test_bad_input_is_one_line(measure):
    maps = np.random.default_rng(0).random((2, 12, 12))
    with pytest.raises(ValueError, match=r"maps of shape \(2, 12, 12\) cannot be compared with .*\(1, 12, 12\)"):
        measure(explained(maps), explained(maps[:1]))
    many = Explanation(maps[None], np.zeros((1, 2), int), np.zeros((1, 2)), "gradcam")
    with pytest.raises(ValueError, match="maps of 2 targets an image; give those of one"):
        measure(many, many)
    with pytest.raises(ValueError, match="map 1 holds NaN or Inf"):
        measure(explained(np.stack([maps[0], maps[0] * np.nan])), explained(maps))


def test_what_does_not_fit_is_said():
    maps = explained(np.ones((1, 10, 12)))
    with pytest.raises(ValueError, match=r"maps of \(10, 12\) are smaller than the window of SSIM, 11 pixels"):
        ssim(maps, maps)
    for k in (0, 1.5, 121, -1):
        with pytest.raises(ValueError, match="is no number of pixels; give 1 to 120"):
            top_k_overlap(maps, maps, k=k)
