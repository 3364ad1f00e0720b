"""Maps: rows of several shards in any order, and metrics that read them in chunks."""

import pickle

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.core import stored
from keras_actmaps.core.explanation import Explanation

COUNT = 23


@pytest.fixture(scope="module")
def model():
    return gap_network()


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).random((COUNT, 12, 16, 3), "float32")


@pytest.fixture(scope="module")
def maps(model, inputs, tmp_path_factory):
    damaged = inputs.copy()
    damaged[5] = np.nan
    folder = tmp_path_factory.mktemp("run")
    return kam.explain_all(model, damaged, folder, "saliency", engine="serial", shard=8, batch_size=8)


@pytest.fixture(scope="module")
def whole(maps):
    """All maps in memory, shard by shard."""
    return np.stack([maps[row] for row in range(COUNT)])


@pytest.mark.parametrize("rows", [slice(None), slice(3, 19), slice(None, None, -5), [22, 0, 9, 9], np.array([8, -1])])
def test_rows_are_read_in_the_order_asked_for(maps, whole, rows):
    np.testing.assert_array_equal(maps[rows], whole[rows])
    np.testing.assert_array_equal(maps.explanation(rows).maps, whole[rows])
    np.testing.assert_array_equal(maps.explanation(rows).scores, maps.scores[rows])


def test_one_image_is_a_map_or_a_batch_of_one(maps, whole):
    np.testing.assert_array_equal(maps[-1], whole[22])
    assert maps.explanation(-1).maps.shape == (1, 12, 16)


@pytest.mark.parametrize("row", [23, -24, [0, 23]])
def test_an_image_that_does_not_exist_is_an_index_error(maps, row):
    with pytest.raises(IndexError):
        maps[row]


def test_iteration_gives_every_map_and_every_explanation_once(maps, whole):
    np.testing.assert_array_equal(np.stack(list(maps)), whole)
    parts = list(maps.explanations(batch_size=10))
    assert [len(part) for part in parts] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([part.maps for part in parts]), whole)


def test_maps_can_be_pickled(maps, whole):
    maps[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(maps))[:], whole)


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="contains no run of explain_all"):
        kam.Maps(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="contains a run that is not finished"):
        kam.Maps(tmp_path)


@pytest.fixture
def in_memory(maps):
    """The images that were explained, as one Explanation."""
    e = maps.explanation(np.delete(np.arange(COUNT), 5))
    assert isinstance(e, Explanation)
    return e


def with_gap(values):
    return np.insert(np.asarray(values, "float64"), 5, np.nan, axis=0)


def test_metrics_of_stored_maps_are_those_in_memory_with_nan_for_failed_images(
    model, inputs, maps, in_memory, monkeypatch
):
    monkeypatch.setattr(stored, "CHUNK", 10)
    metrics, good = kam.metrics, np.delete(np.arange(COUNT), 5)
    masks = np.random.default_rng(1).random((COUNT, 12, 16)) > 0.7
    boxes = np.tile([[2, 3, 9, 11]], (COUNT, 1))
    for found, expected in (
        (metrics.sparseness(maps), metrics.sparseness(in_memory)),
        (metrics.energy_pointing(maps, masks), metrics.energy_pointing(in_memory, masks[good])),
        (metrics.max_box_accuracy(maps, boxes), metrics.max_box_accuracy(in_memory, boxes[good])),
        (metrics.pixel_average_precision(maps, masks), metrics.pixel_average_precision(in_memory, masks[good])),
        (
            metrics.deletion(model, inputs, maps, patch=4, steps=6),
            metrics.deletion(model, inputs[good], in_memory, patch=4, steps=6),
        ),
        (metrics.spearman(maps, maps), metrics.spearman(in_memory, in_memory)),
        (
            metrics.deletion_curve(model, inputs, maps, patch=4, steps=6),
            metrics.deletion_curve(model, inputs[good], in_memory, patch=4, steps=6),
        ),
    ):
        np.testing.assert_allclose(found, with_gap(expected), rtol=1e-5, atol=1e-6)


def test_masks_of_another_length_are_refused(maps):
    with pytest.raises(ValueError, match="explanation of 23 images and masks of 22 images do not fit"):
        kam.metrics.energy_pointing(maps, np.ones((22, 12, 16), bool))


def test_scalars_are_a_parquet_table(maps, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    maps.to_parquet(tmp_path / "scalars.parquet")
    table = parquet.read_table(tmp_path / "scalars.parquet")
    np.testing.assert_array_equal(table["score"].to_numpy(), maps.scores)
    np.testing.assert_array_equal(table["target"].to_numpy(), maps.targets)
    errors = table["error"].to_pylist()
    assert [row for row, error in enumerate(errors) if error] == [5] and errors[5] == maps.errors[5]


def test_maps_are_a_zarr_group(maps, whole, tmp_path):
    pytest.importorskip("zarr", reason="zarr is not installed")
    group = maps.to_zarr(tmp_path / "maps.zarr")
    np.testing.assert_array_equal(group["maps"][:], whole)
    np.testing.assert_array_equal(group["scores"][:], maps.scores)


def test_maps_are_a_torch_dataset(maps, whole):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    batches = list(torch.utils.data.DataLoader(maps.to_torch(), batch_size=10))
    np.testing.assert_array_equal(np.concatenate([batch[0].numpy() for batch in batches]), whole)
    np.testing.assert_array_equal(np.concatenate([batch[2].numpy() for batch in batches]), maps.targets)


def test_maps_are_a_tf_dataset(maps, whole):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    dataset = maps.to_tf()
    assert len(dataset) == COUNT
    found = [(image, score) for image, score, _ in dataset.as_numpy_iterator()]
    np.testing.assert_array_equal(np.stack([image for image, _ in found]), whole)
    np.testing.assert_array_equal([score for _, score in found], maps.scores)
