"""Audits of a model that cheats by construction, and of data in which there is little to find."""

import keras
import numpy as np
import pytest

pytest.importorskip("sklearn")
from auditing.cheating import SIDE, cheating_model, striped_images

import keras_actmaps as kam
from keras_actmaps.auditing.record import Audit


@pytest.fixture(scope="module")
def case():
    images, labels, marked = striped_images(100)
    return images, labels, marked, kam.audit(cheating_model(), (images, labels), names=["across", "along"])


def test_the_marked_images_are_flagged_and_no_others(case):
    _, _, marked, audit = case
    np.testing.assert_array_equal(audit.is_flagged, marked)
    assert {cluster.label for cluster in audit.flagged} == {1}
    assert {tuple(audit.members(cluster)) for cluster in audit.flagged} == {tuple(np.flatnonzero(marked))}


def test_rates_equal_those_of_all_pairs(case):
    """Every hot spot in every image of the other class, one by one; the audit tries 4 images for each."""
    images, _, _, audit = case
    model, (cluster,), (rows, columns) = cheating_model(), audit.flagged, audit.patch
    hosts = images[audit.predicted == 0][:20]
    flips, leaves = [], []
    for number in audit.members(cluster):
        top, left = audit.places[number]
        pasted, removed = hosts.copy(), images[number].copy()
        pasted[:, top : top + rows, left : left + columns] = images[number, top : top + rows, left : left + columns]
        flips.append(keras.ops.convert_to_numpy(model(pasted)).argmax(1) == 1)
        removed[top : top + rows, left : left + columns] = 0.2
        leaves.append(keras.ops.convert_to_numpy(model(removed[None])).argmax(1) != 1)
    assert cluster.transplant.value == np.mean(flips) == 1
    assert cluster.removal.value == np.mean(leaves) == 0
    assert cluster.control.value == 0 and cluster.suspicion.value == 1
    assert cluster.accuracy == 1 and cluster.size == len(flips)


def test_an_honest_model_has_nothing_flagged_on_the_same_images(case):
    images, labels, _, _ = case
    audit = kam.audit(cheating_model(weight=0.0), (images, labels))
    assert not audit.flagged and "Nothing is flagged." in audit.table()
    assert max(cluster.transplant.value for cluster in audit.clusters) == 0


def test_evidence_on_the_object_is_no_cause_for_suspicion(case):
    images, labels, marked, _ = case
    masks = np.zeros(images.shape[:3])
    masks[marked, :, :] = 1
    audit = kam.audit(cheating_model(), (images, labels), masks=masks)
    assert not audit.flagged
    strongest = max(audit.clusters, key=lambda cluster: cluster.transplant.value)
    assert strongest.on_object == 1 and strongest.transplant.value == 1


def test_streams_in_batches_and_one_by_one_give_the_same_audit(case):
    images, labels, _, audit = case
    batches = [(images[:60], labels[:60]), (images[60:], labels[60:])]
    for dataset in (batches, zip(images, labels)):
        other = kam.audit(cheating_model(), dataset, names=["across", "along"])
        np.testing.assert_array_equal(other.numbers, audit.numbers)
        np.testing.assert_array_equal(other.places, audit.places)
        assert other.table() == audit.table()


def test_the_limit_and_the_classes_restrict_the_audit(case):
    images, labels, _, _ = case
    audit = kam.audit(cheating_model(), (images, labels), limit=50, classes=[0])
    assert len(audit) == 50 and {cluster.label for cluster in audit.clusters} == {0}
    assert (audit.numbers[audit.predicted == 1] == -1).all()


def test_a_saved_audit_is_read_back(case, tmp_path):
    *_, audit = case
    other = Audit.load(audit.save(tmp_path / "audit.npz"))
    assert other.table() == audit.table() and other.patch == audit.patch and other.about == audit.about
    np.testing.assert_array_equal(other.numbers, audit.numbers)
    np.testing.assert_array_equal(other.clusters[0].thumbnails, audit.clusters[0].thumbnails)
    np.testing.assert_array_equal(other.members(other.flagged[0]), audit.members(audit.flagged[0].name))
    (tmp_path / "other.npz").write_bytes(b"no audit")
    with pytest.raises(ValueError, match="not a saved audit"):
        Audit.load(tmp_path / "other.npz")


def test_a_data_set_of_one_predicted_class_is_not_tested_and_says_so(case):
    images, labels, _, _ = case
    audit = kam.audit(cheating_model(), images[labels == 0])
    assert not audit.flagged and np.isnan([cluster.transplant.value for cluster in audit.clusters]).all()
    assert "Only one class was predicted" in audit.table() and np.isnan(audit.clusters[0].accuracy)


def test_few_images_are_one_cluster_and_maps_without_structure_one_strategy(case):
    images, labels, _, _ = case
    audit = kam.audit(cheating_model(), (images[:6], labels[:6]))
    assert [cluster.size for cluster in audit.clusters] == [3, 3] and "too few to be divided" in audit.table()
    noise = np.random.default_rng(0).uniform(0, 0.2, (60, SIDE, SIDE, 1)).astype("float32")
    audit = kam.audit(cheating_model(weight=0.0), noise)
    assert "class 0: one strategy" in audit.table()


def test_images_whose_map_is_zero_have_no_cluster():
    images, labels, _ = striped_images(30)
    images[:4] = 0
    with pytest.warns(UserWarning, match="zero"):
        audit = kam.audit(cheating_model(), [(images[:4], labels[:4]), (images[4:], labels[4:])])
    assert (audit.numbers[:4] == -1).all() and (audit.numbers[4:] >= 0).all()
    assert "4 of 30 images have a map without positive values" in audit.table()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": [2]}, "classes must be integers from 0 to 1, got \\[2\\]"),
        ({"limit": 0}, "limit must be an integer >= 1"),
        ({"seed": -1}, "seed must be"),
        ({"method": "no"}, "no"),
        ({"masks": np.zeros((100, 3, 3))}, "masks of shape"),
        ({"dataset": []}, "the dataset has no images"),
        ({"dataset": (np.zeros((3, SIDE, SIDE, 1)), np.zeros(2))}, "2 labels do not fit 3 images"),
        (
            {"dataset": (np.zeros((3, SIDE, SIDE, 1)), [[1, 1], [0, 1], [0, 0]])},
            r"labels that are classes, .* got shape \(3, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_an_error_of_one_line(case, arguments, message):
    images, labels, *_ = case
    with pytest.raises(ValueError, match=message):
        kam.audit(**{"model": cheating_model(), "dataset": (images, labels)} | arguments)


def test_an_unknown_cluster_is_an_error(case):
    *_, audit = case
    with pytest.raises(ValueError, match="no cluster 'x'; choices: across 1"):
        audit.members("x")
