"""XRAI against what PAIR's package `saliency` made of the same attributions, segments and networks."""

from pathlib import Path

import make_xrai
import numpy as np
import pytest
from helpers import linear_network

import keras_actmaps as kam
from keras_actmaps.methods._segments import felzenszwalb
from keras_actmaps.methods.xrai import rank_regions

STORED = dict(np.load(Path(__file__).with_name("xrai.npz")))


@pytest.mark.parametrize("least", make_xrai.LEAST)
@pytest.mark.parametrize("mode", make_xrai.MODES)
def test_regions_are_ranked_as_by_the_authors(mode, least):
    values = STORED["attributions"].max(-1)
    maps = [rank_regions(*one, least, mode) for one in zip(values, STORED["masks"])]
    np.testing.assert_allclose(maps, STORED[f"{mode}/{least}"], rtol=1e-10)
    assert len(np.unique(maps[0])) > 10


@pytest.mark.parametrize("mode", make_xrai.MODES)
def test_the_map_of_a_linear_network_is_that_of_the_authors(mode):
    model, _, _ = linear_network(make_xrai.SHAPE, classes=1)
    model.layers[-1].set_weights([STORED["weights"].reshape(-1, 1), np.zeros(1)])
    for image, masks, expected in zip(STORED["images"], STORED["masks"], STORED[f"linear/{mode}"]):
        e = kam.explain(model, image[None], "xrai", segments=masks, min_area=0, ranking=mode, steps=3)
        np.testing.assert_allclose(e.maps[0], expected, rtol=1e-5, atol=1e-5)


def test_felzenszwalb_segments_are_those_of_the_authors():
    pytest.importorskip("skimage")
    found = np.stack(felzenszwalb(STORED["photo"]))
    assert found.shape == STORED["labels"].shape
    for one, expected in zip(found, STORED["labels"]):
        pairs = np.unique(np.stack([one.ravel(), expected.ravel()]), axis=1)
        assert pairs.shape[1] == len(np.unique(one)) == len(np.unique(expected))  # the same parts, numbered otherwise
