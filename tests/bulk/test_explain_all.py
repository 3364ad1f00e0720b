"""explain_all against explain: the same maps to the precision of the files, whatever happens meanwhile."""

import csv
import json

import h5py
import numpy as np
import pytest
from helpers import gap_network
from PIL import Image

import keras_actmaps as kam
from keras_actmaps.bulk import batches
from keras_actmaps.bulk.finish import verify
from keras_actmaps.bulk.store import FolderStore

BOUND = 2.0**-11  # of float16


@pytest.fixture(scope="module")
def model():
    return gap_network()


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).random((21, 12, 16, 3), "float32")


def run(model, source, out, method="gradcam", **settings):
    return kam.explain_all(model, source, out, method, engine="serial", **{"shard": 8, "batch_size": 4} | settings)


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


def assert_close(maps, expected):
    """To the precision of float16: of each value, and of the smallest of a map, of the largest."""
    largest = np.abs(expected).reshape(*expected.shape[:-2], -1).max(-1)[..., None, None]
    assert (np.abs(maps - expected) <= BOUND * np.abs(expected) + (2.0**-24 + 1e-6) * largest).all()


@pytest.mark.parametrize(
    "method, settings", [("saliency", {}), ("occlusion", {"patch": 4}), ("smoothgrad", {"samples": 3})]
)
def test_maps_are_those_of_explain(model, inputs, tmp_path, method, settings):
    maps = run(model, inputs, tmp_path, method, **settings)
    expected = kam.explain(model, inputs, method, **settings)
    assert_close(maps[:], expected.maps)
    np.testing.assert_allclose(maps.scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(maps.targets, expected.targets)


def test_maps_at_a_layer_are_stored_at_its_size_and_resized_when_read(model, inputs, tmp_path):
    maps = run(model, inputs, tmp_path)
    expected = kam.explain(model, inputs)
    assert maps[:].shape == (21, 6, 8)
    found = maps.explanation(slice(None))
    largest = np.abs(expected.maps).max(axis=(1, 2), keepdims=True)
    assert (np.abs(found.maps - expected.maps) <= (BOUND + 1e-6) * largest).all()
    assert (found.layer, found.method) == (expected.layer, "gradcam")


def test_targets_of_each_image_and_labels_are_explained(model, inputs, tmp_path):
    targets = np.arange(21) % 4
    by_array = run(model, inputs, tmp_path / "array", targets=targets)
    by_label = run(model, (inputs, targets), tmp_path / "labels", targets="labels")
    expected = kam.explain(model, inputs, targets=targets)
    np.testing.assert_allclose(by_array.scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(by_array[:], by_label[:])


def test_all_classes_have_a_scale_each(model, inputs, tmp_path):
    maps = run(model, inputs, tmp_path, "saliency", targets="all")
    assert_close(maps[:], kam.explain(model, inputs, "saliency", targets="all").maps)


def test_a_run_that_lost_shards_ends_with_the_same_bytes(model, inputs, tmp_path):
    run(model, inputs, tmp_path)
    before = shards(tmp_path)
    (tmp_path / "shard-00001.h5").unlink()
    (tmp_path / "manifest.json").unlink()
    run(model, inputs, tmp_path)
    assert shards(tmp_path) == before
    assert verify(FolderStore(tmp_path)) == []


def test_maps_do_not_depend_on_the_batch_size(model, inputs, tmp_path):
    one, other = (run(model, inputs, tmp_path / str(size), "saliency", batch_size=size) for size in (3, 8))
    assert_close(one[:], other[:])


def test_the_manifest_lists_rows_and_hashes(model, inputs, tmp_path):
    run(model, inputs, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [(shard["start"], shard["rows"]) for shard in manifest["shards"]] == [(0, 8), (8, 8), (16, 5)]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("shard-")) == [
        "manifest.json",
        "run.json",
        "run.log",
    ]
    (tmp_path / "shard-00002.h5").write_bytes(b"damaged")
    assert verify(FolderStore(tmp_path)) == ["shard-00002.h5"]


def test_shards_are_float16_compressed_by_map(tmp_path):
    model = gap_network((48, 48, 3))
    run(model, np.random.default_rng(0).random((3, 48, 48, 3), "float32"), tmp_path, "saliency")
    with h5py.File(tmp_path / "shard-00000.h5") as file:
        maps = file["maps"]
        assert (maps.dtype, maps.chunks, maps.compression) == (np.float16, (1, 48, 48), "gzip")
        assert (maps.compression_opts, maps.shuffle) == (4, True)


@pytest.mark.parametrize(
    "change, names",
    [
        ({"weights": True}, "weights"),
        ({"source": True}, "source"),
        ({"settings": {"noise": 0.3}}, "settings"),
        ({"settings": {"targets": 1}}, "targets"),
        ({"settings": {"shard": 7}}, "shard"),
    ],
)
def test_another_run_in_the_folder_is_refused_by_what_differs(inputs, tmp_path, change, names):
    model = gap_network()
    arguments = {"samples": 2, **change.get("settings", {})}
    run(model, inputs, tmp_path, "smoothgrad", samples=2)
    if "weights" in change:
        model.layers[-1].set_weights([1.5 * weight for weight in model.layers[-1].get_weights()])
    if "source" in change:
        inputs = inputs.copy()
        inputs[13, 0, 0, 0] += 1
    with pytest.raises(ValueError, match=rf"contains a run with other {names} \("):
        run(model, inputs, tmp_path, "smoothgrad", **arguments)


def test_the_same_network_built_again_is_the_same_run(inputs, tmp_path):
    run(gap_network(), inputs, tmp_path)
    assert len(run(gap_network(), inputs, tmp_path, batch_size=5)) == 21


def test_an_image_that_cannot_be_read_is_a_line_and_not_a_dead_shard(model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (9, 12, 16, 3), "uint8")
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes((folder / "4.png").read_bytes()[:60])
    maps = run(model, folder, tmp_path / "run", "saliency", preprocess=lambda image: image / 255)
    expected = kam.explain(model, pixels.astype("float32") / 255, "saliency")
    good = np.arange(9) != 4
    assert_close(maps[good.nonzero()[0]], expected.maps[good])
    assert np.isnan(maps.scores[4]) and np.isnan(maps[4]).all() and maps.targets[4] == -1
    header, line = csv.reader((tmp_path / "run" / "errors.csv").open())
    assert header == ["index", "error"] and line[0] == "4" and "damaged" in line[1]
    assert list(maps.errors) == [4]


def test_an_image_without_a_finite_score_leaves_the_others_of_its_batch_alone(model, inputs, tmp_path):
    damaged = inputs.copy()
    damaged[5, 0, 0, 0] = np.inf
    maps = run(model, damaged, tmp_path, "saliency")
    others = np.delete(np.arange(21), 5)
    assert_close(maps[others], kam.explain(model, inputs, "saliency").maps[others])
    assert np.isnan(maps[5]).all() and "NaN or Inf" in maps.errors[5]


def test_out_of_memory_halves_the_batch_and_says_so(model, inputs, tmp_path, monkeypatch):
    whole = batches._explain_batch

    def limited(job, batch, labels, numbers, size):
        if size > 2:
            raise RuntimeError("CUDA out of memory")
        return whole(job, batch, labels, numbers, size)

    monkeypatch.setattr(batches, "_explain_batch", limited)
    maps = run(model, inputs, tmp_path, "saliency", batch_size=8)
    assert_close(maps[:], kam.explain(model, inputs, "saliency").maps)
    log = (tmp_path / "run.log").read_text()
    assert "out of memory with batches of 8; continued with 4" in log and "continued with 2" in log


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"engine": "threads"}, "engine must be one of processes, ray, serial, got 'threads'"),
        ({"shard": 0}, "shard must be a positive integer, got 0"),
        ({"workers": 2.5}, "workers must be a positive integer, got 2.5"),
        ({"method": "grad"}, "got 'grad'"),
        ({"targets": [1, 2]}, "targets of 2 images do not fit 21 images"),
        ({"targets": "labels"}, "targets='labels', but the dataset has inputs only"),
        ({"targets": 9}, "class"),
        ({"layer": "none"}, "no spatial layer 'none'"),
    ],
)
def test_invalid_arguments_are_errors_before_any_work(model, inputs, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        kam.explain_all(model, inputs, tmp_path, **{"engine": "serial"} | arguments)
    assert not list(tmp_path.glob("*.h5")) and not (tmp_path / "run.json").exists()
