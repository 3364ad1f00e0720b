"""Occlusion against the closed form of linear models, and patches filled one by one."""

import itertools

import numpy as np
import pytest
from helpers import forbid_passes, gap_network, linear_network

import keras_actmaps as kam


def starts(side, patch, stride):
    """Where patches start along an axis: at multiples of the stride, and where they end at the border."""
    return sorted({*(i for i in range(side) if i % stride == 0 and i + patch <= side), side - patch})


def averaged(contributions, patch, stride):
    """The sum of contributions (N, H, W) in each patch, averaged over the patches that contain a pixel."""
    _, height, width = contributions.shape
    rows, columns = starts(height, patch[0], stride[0]), starts(width, patch[1], stride[1])
    maps = np.zeros(contributions.shape)
    for y, x in itertools.product(range(height), range(width)):
        tops = [top for top in rows if top <= y < top + patch[0]]
        lefts = [left for left in columns if left <= x < left + patch[1]]
        sums = [
            contributions[:, top : top + patch[0], left : left + patch[1]].sum((1, 2))
            for top, left in itertools.product(tops, lefts)
        ]
        maps[:, y, x] = np.mean(sums, axis=0)
    return maps


@pytest.mark.parametrize("patch, stride", [((1, 1), (1, 1)), ((5, 3), (2, 3)), ((4, 4), (3, 3)), ((7, 10), (7, 1))])
def test_is_the_closed_form_on_a_linear_model(patch, stride):
    images = np.random.default_rng(1).random((3, 7, 10, 2), "float32")
    model, weights, _ = linear_network(images.shape[1:])
    contributions = (weights[..., 1] * images).sum(-1)
    e = kam.explain(model, images, "occlusion", targets=1, patch=patch, stride=stride, batch_size=4)
    np.testing.assert_allclose(e.maps, averaged(contributions, patch, stride), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(6, 4), (8,)])
def test_patches_of_one_position_give_weight_times_value_in_sequences_and_tables(shape):
    images = np.random.default_rng(1).random((3, *shape), "float32")
    model, weights, _ = linear_network(shape)
    contributions = weights[..., 0] * images
    e = kam.explain(model, images, "occlusion", targets=0, patch=1)
    expected = contributions.sum(-1) if len(shape) == 2 else contributions
    np.testing.assert_allclose(e.maps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fill", ["zero", "mean", 0.25, [0.1, 0.2, 0.3]])
def test_fill_replaces_the_patch(fill, images):
    model, weights, _ = linear_network(images.shape[1:])
    hidden = {"zero": 0, "mean": images.mean((1, 2), keepdims=True)}[fill] if isinstance(fill, str) else np.array(fill)
    e = kam.explain(model, images, "occlusion", targets=0, patch=1, fill=fill)
    np.testing.assert_allclose(e.maps, (weights[..., 0] * (images - hidden)).sum(-1), rtol=1e-4, atol=1e-4)


def test_is_the_drop_of_the_score_of_a_network(images):
    model = gap_network()
    e = kam.explain(model, images, "occlusion", targets=2, patch=(6, 4), stride=(6, 4))
    whole = model.predict(images, verbose=0)[:, 2]
    for top, left in itertools.product(range(0, 12, 6), range(0, 16, 4)):
        hidden = images.copy()
        hidden[:, top : top + 6, left : left + 4] = 0
        drop = whole - model.predict(hidden, verbose=0)[:, 2]
        found = e.maps[:, top : top + 6, left : left + 4]
        np.testing.assert_allclose(found, np.broadcast_to(drop[:, None, None], found.shape), atol=1e-5)


def test_the_default_patch_is_an_eighth_and_its_stride_half_of_it(images):
    model = gap_network()
    same = kam.explain(model, images, "occlusion", patch=(1, 2), stride=1).maps
    np.testing.assert_array_equal(kam.explain(model, images, "occlusion").maps, same)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"patch": (13, 4)}, r"patch=\(13, 4\) is larger than the input, which is \(12, 16\)"),
        ({"patch": 0}, "^patch must be an integer >= 1 .* or None, got 0$"),
        ({"patch": (2, 2, 2)}, r"patch=\(2, 2, 2\) does not fit"),
        ({"patch": 2.5}, "^patch must be an integer >= 1 .* or None, got 2.5$"),
        ({"patch": 4, "stride": 0}, "^stride must be an integer >= 1 .* or None, got 0$"),
        ({"patch": 4, "stride": 5}, "stride=5 is larger than the patch"),
        (
            {"fill": "grey"},
            "^fill must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number or an array, got 'grey'$",
        ),
        ({"fill": [1, 2]}, r"a baseline of shape \(2,\)"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "occlusion", **settings)
