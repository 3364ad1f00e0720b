"""Metrics, comparisons, audits and exemplars of stored maps: what maps in memory give, read in small parts."""

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.metrics import METRICS, _stored

COUNT, FAILED, CHUNK = 23, 5, 10
GOOD = np.delete(np.arange(COUNT), FAILED)
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((COUNT, 12, 16, 3), "float32")
TRUTH = {"masks": RANDOM.random((COUNT, 12, 16)) > 0.7, "boxes": np.tile([[2, 3, 9, 11]], (COUNT, 1))}
QUICK = {"patch": 4, "steps": 4, "samples": 4, "shares": (0.3,)}


@pytest.fixture(scope="module")
def model():
    return gap_network()


@pytest.fixture(scope="module")
def exact(model):
    """The maps of all images, of `explain`."""
    return kam.explain(model, IMAGES, "gradcam")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    damaged = IMAGES.copy()
    damaged[FAILED] = np.nan
    kam.explain_all(model, damaged, folder, "gradcam", engine="serial", shard=8, batch_size=8)
    return folder


@pytest.fixture
def maps(folder, monkeypatch):
    """The stored maps, of which nobody may read more than CHUNK at once."""
    read = kam.Maps.arrays

    def some(self, rows):
        found = read(self, rows)
        assert len(found["scores"]) <= CHUNK
        return found

    monkeypatch.setattr(kam.Maps, "arrays", some)
    monkeypatch.setattr(_stored, "CHUNK", CHUNK)
    return kam.Maps(folder)


def with_gap(values):
    return np.insert(np.asarray(values, "float64"), FAILED, np.nan, axis=-1)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_that_of_maps_in_memory(model, exact, maps, name):
    metric = METRICS[name]
    settings = {key: value for key, value in QUICK.items() if key in metric.settings}
    truth = [TRUTH[what] for what in ("masks", "boxes") if what in metric.requires]
    before = [model, IMAGES] if "model" in metric.requires else []
    found = metric.function(*before, maps, *truth, **settings)
    before = [model, IMAGES[GOOD]] if before else []
    expected = metric.function(*before, exact[GOOD], *(part[GOOD] for part in truth), **settings)
    np.testing.assert_allclose(found, with_gap(expected), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("in_stream", [False, True])
def test_a_comparison_reads_stored_maps_beside_methods(model, maps, in_stream):
    columns = ["deletion", "energy_pointing", "sparseness", "pixel_average_precision"]
    methods, masks = ["gradcam", ("from files", maps)], TRUTH["masks"]
    if in_stream:
        parts = [slice(start, start + 7) for start in range(0, COUNT, 7)]
        stream = [(IMAGES[part], None, {"masks": masks[part]}) for part in parts]
        explanations, table = kam.compare(model, stream, methods, columns, keep=2)
    else:
        explanations, table = kam.compare(model, IMAGES, methods, columns, masks, batch_size=7, keep=2)
    assert table.methods == ("gradcam", "from files")
    computed, stored = table.values
    assert np.isnan(stored[:, FAILED]).all()
    np.testing.assert_allclose(stored[:, GOOD], computed[:, GOOD], rtol=2e-3, atol=2e-3)
    assert np.isfinite(table.seconds[0]) and np.isnan(table.seconds[1]) and np.isnan(table.passes[1])
    np.testing.assert_allclose(explanations[1].maps, explanations[0].maps, rtol=2e-3, atol=1e-5)


def test_a_comparison_of_stored_maps_alone_is_labeled_by_the_method(model, maps):
    _, table = kam.compare(model, IMAGES, [maps], ["sparseness"], batch_size=8, keep=0)
    assert table.methods == ("gradcam",)
    np.testing.assert_array_equal(table.values[0, 0], kam.metrics.sparseness(maps))


def test_stored_maps_of_other_images_or_targets_are_refused(model, exact, maps):
    other = (exact.targets + 1) % 4
    with pytest.raises(ValueError, match="stored maps of 23 images do not fit 22 images"):
        kam.compare(model, IMAGES[1:], ["saliency", ("files", maps)], ["sparseness"])
    with pytest.raises(ValueError, match="stored maps of 23 images do not fit 21 images"):
        kam.compare(model, [IMAGES[:7]] * 3, ["saliency", ("files", maps)], ["sparseness"])
    with pytest.raises(ValueError, match=f"image 0 in 'files' explains class {exact.targets[0]}, .*class {other[0]}"):
        kam.compare(model, IMAGES, ["saliency", ("files", maps)], ["sparseness"], targets=other, batch_size=8)
    with pytest.raises(ValueError, match=r"of shape \(8, 16\) as the images, got \(12, 16\)"):
        kam.compare(gap_network((8, 16, 3)), IMAGES[:, :8], [("files", maps)], ["sparseness"])
