"""Mending the model that cheats by construction, where the right answer is known."""

import keras
import numpy as np
import pytest

pytest.importorskip("sklearn")
from auditing.cheating import cheating_model, striped_images
from keras import layers

import keras_actmaps as kam


@pytest.fixture(scope="module")
def case():
    images, labels, marked = striped_images(100)
    model = cheating_model()
    return model, images, labels, marked, kam.audit(model, (images, labels))


def test_masked_images_have_no_mark_and_others_are_unchanged(case):
    _, images, _, marked, audit = case
    masked = audit.mask(images)
    np.testing.assert_array_equal(masked[~marked], images[~marked])
    assert images[marked].max(axis=(1, 2, 3)).min() == 1 and masked[marked].max() < 0.8
    detector = keras.Model(case[0].inputs, case[0].get_layer("mark").output)
    assert detector.predict(masked, verbose=0).max() == 0


def test_weights_of_a_class_keep_their_sum(case):
    _, _, labels, marked, audit = case
    weights = audit.weights()
    assert not weights[marked].any() and (weights[labels == 0] == 1).all()
    assert weights[labels == 1].sum() == pytest.approx((labels == 1).sum())


def test_a_class_that_is_flagged_as_a_whole_cannot_be_weighted():
    images, labels, _ = striped_images(60, share=1.0)
    audit = kam.audit(cheating_model(), (images, labels))
    with pytest.raises(ValueError, match="all 30 images of class 1 are flagged"):
        audit.weights()


def test_the_projected_model_is_deaf_to_the_mark_and_keeps_its_other_scores(case):
    model, images, labels, marked, audit = case
    mended = audit.without_artifact(model, images, "mark")
    assert audit.flip_rate(model, images) == 1 and audit.flip_rate(mended, images) == 0
    before, after = model.predict(images, verbose=0), mended.predict(images, verbose=0)
    np.testing.assert_allclose(after[~marked], before[~marked], atol=1e-4)
    assert (after.argmax(1) == labels).all()
    assert {id(one) for one in model.weights} < {id(one) for one in mended.weights}


def test_the_projection_equals_numpy_at_a_layer_of_several_channels():
    """a - v v^T (a - m), with v and m from the features of the marked images by hand."""
    keras.utils.set_random_seed(0)
    images, labels, marked = striped_images(60)
    inner = cheating_model()
    audit = kam.audit(inner, (images, labels))
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            layers.Conv2D(4, 3, padding="same", name="conv"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    mended = audit.without_artifact(model, images, "conv")
    features = model.layers[0](images)
    features = keras.ops.convert_to_numpy(features).astype("float64")
    rows, columns = audit.patch
    inside = np.zeros(images.shape[:3], bool)
    for number in np.flatnonzero(marked):
        top, left = audit.places[number]
        inside[number, top : top + rows, left : left + columns] = True
    mean = features[marked][~inside[marked]].mean(0)
    direction = features[inside].mean(0) - mean
    direction /= np.linalg.norm(direction)
    projected = features - ((features - mean) @ direction)[..., None] * direction
    expected = keras.ops.convert_to_numpy(model.layers[2](model.layers[1](projected.astype("float32"))))
    np.testing.assert_allclose(mended.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-4)


def test_a_mended_model_can_be_audited_again(case):
    model, images, labels, _, audit = case
    assert not kam.audit(audit.without_artifact(model, images, "mark"), (images, labels)).flagged


def test_what_does_not_fit_is_an_error(case):
    model, images, labels, _, audit = case
    with pytest.raises(ValueError, match="are not those of the audit, which are 100 images of 25 x 25"):
        audit.mask(images[:5])
    honest = kam.audit(cheating_model(weight=0.0), (images, labels))
    with pytest.raises(ValueError, match="nothing is flagged"):
        honest.without_artifact(model, images)
    assert np.isnan(honest.flip_rate(model, images)) and (honest.weights() == 1).all()
