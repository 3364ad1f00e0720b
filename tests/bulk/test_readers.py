"""Metrics, comparisons, audits and exemplars of stored maps: what maps in memory give, read in small parts."""

import numpy as np
import pytest
from auditing.cheating import cheating_model, striped_images
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.core import stored
from keras_actmaps.metrics import METRICS

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
    monkeypatch.setattr(stored, "CHUNK", CHUNK)
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


@pytest.fixture(scope="module")
def cheated(tmp_path_factory):
    """Images of a model that cheats, and the folder of their maps."""
    images, labels, _ = striped_images(100)
    folder = tmp_path_factory.mktemp("cheated")
    kam.explain_all(cheating_model(), images, folder, "lrp", engine="serial", shard=30)
    return images, labels, folder


def test_an_audit_of_stored_maps_is_that_of_the_method(cheated):
    pytest.importorskip("sklearn")
    images, labels, folder = cheated
    found = kam.audit(cheating_model(), (images, labels), kam.Maps(folder), batch_size=9)
    expected = kam.audit(cheating_model(), (images, labels), "lrp", batch_size=9)
    assert expected.flagged and found.about == expected.about
    np.testing.assert_array_equal(found.is_flagged, expected.is_flagged)
    np.testing.assert_array_equal(found.places, expected.places)
    assert [cluster.transplant for cluster in found.clusters] == [one.transplant for one in expected.clusters]


def test_an_audit_of_an_image_without_a_map_puts_it_into_no_cluster(model, maps):
    pytest.importorskip("sklearn")
    audit = kam.audit(model, IMAGES, maps, batch_size=8)
    assert f"1 of {COUNT} images have a map without positive values and no cluster." in audit.table()
    assert np.flatnonzero(audit.numbers == -1).tolist() == [FAILED]


def test_an_audit_refuses_maps_of_other_images_classes_and_settings(cheated):
    pytest.importorskip("sklearn")
    images, labels, folder = cheated
    model, maps = cheating_model(), kam.Maps(folder)
    with pytest.raises(ValueError, match="map of image 0 explains class 0, and the model predicts class 1"):
        kam.audit(model, (images[::-1], labels), maps)
    with pytest.raises(ValueError, match="stored maps of 100 images do not fit 40 images"):
        kam.audit(model, (images[:40], labels[:40]), maps)
    with pytest.raises(ValueError, match="stored maps of 100 images do not fit 101 images or more"):
        kam.audit(model, images[[*range(100), 0]], maps, batch_size=10)
    with pytest.raises(ValueError, match="the settings of their run, and epsilon cannot be changed"):
        kam.audit(model, (images, labels), maps, epsilon=0.1)
    assert len(kam.audit(model, (images, labels), maps, limit=50).predicted) == 50


@pytest.fixture
def of_classes(model, maps, tmp_path):
    """Stored maps of three classes, of which class 3 has two images; one image has none."""
    targets = np.where(np.arange(COUNT) % 3 == 0, 1, 2)
    targets[[7, 11]] = 3
    damaged = IMAGES.copy()
    damaged[FAILED] = np.nan
    settings = {"engine": "serial", "shard": 8, "batch_size": 8}
    return targets, kam.explain_all(model, damaged, tmp_path, "gradient_x_input", targets=targets, **settings)


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_exemplars_of_maps_are_the_strongest_maps_of_each_class(model, of_classes, reduce):
    targets, maps = of_classes
    exact = kam.explain(model, IMAGES, "gradient_x_input", targets=targets).maps
    strength = getattr(exact.reshape(COUNT, -1), reduce)(axis=1)
    with pytest.warns(UserWarning, match="k=5, but fewer images are explained as class 3"):
        found = kam.exemplars(maps, k=5, reduce=reduce)
    assert found.channels.tolist() == [1, 2, 3] and found.layer == "gradient_x_input"
    for row, label in enumerate(found.channels):
        own = GOOD[targets[GOOD] == label]
        expected = own[np.argsort(-strength[own], kind="stable")][:5]
        count = len(expected)
        assert found.indices[row].tolist() == [*expected, *[-1] * (5 - count)]
        np.testing.assert_allclose(found.scores[row, :count], strength[expected], rtol=2e-3)
        np.testing.assert_allclose(found.lowest[row], strength[own].min(), rtol=2e-3)
        if reduce == "max":
            peaks = exact[(expected, *found.places[row, :count].T)]
            np.testing.assert_allclose(peaks, strength[expected], rtol=2e-3)


def test_exemplars_of_maps_refuse_what_they_do_not_contain(model, of_classes):
    _, maps = of_classes
    assert kam.exemplars(maps, channels=3, k=1).channels.tolist() == [3]
    with pytest.raises(ValueError, match=r"no map explains class 0; choices: \[1, 2, 3\]"):
        kam.exemplars(maps, channels=[1, 0], k=1)
    with pytest.raises(ValueError, match="stored maps have their own images and layer"):
        kam.exemplars(maps, IMAGES)
    with pytest.raises(ValueError, match="exemplars of a model need a dataset"):
        kam.exemplars(model)
