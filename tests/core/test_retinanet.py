"""The detector RetinaNet of keras-hub, with random weights, against GradientTape by hand.

Only where it is asked for, since keras-hub takes long to import:

pip install --no-deps keras-hub regex tokenizers
HUB=all python -m pytest tests/core/test_retinanet.py
"""

import os

import keras
import numpy as np
import pytest
from helpers import BACKEND
from keras import ops

import keras_actmaps as kam

pytestmark = [
    pytest.mark.skipif(os.environ.get("HUB") != "all", reason="keras-hub imports for ten seconds; set HUB=all"),
    pytest.mark.skipif(BACKEND != "tensorflow", reason="compared with tf.GradientTape"),
]
SIDE, CLASSES = 64, 3


@pytest.fixture(scope="module")
def detector():
    try:
        from keras_hub import models
    except ImportError as error:
        pytest.skip(f"keras-hub cannot be imported: {error}")
    keras.utils.set_random_seed(0)
    encoder = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16, 16, 16],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )
    backbone = models.RetinaNetBackbone(encoder, min_level=3, max_level=5, use_p5=False, image_shape=(SIDE, SIDE, 3))
    model = models.RetinaNetObjectDetector(backbone, CLASSES, bounding_box_format="yxyx", pre_logits_num_conv_layers=1)
    kernels = [weight for weight in model.classification_head.trainable_weights if len(weight.shape) == 4]
    for weight in kernels:  # whose outputs would be nearly constant
        weight.assign(4 * weight)
    for weight in model.box_head.trainable_weights:  # its first bias makes boxes of no size
        if len(weight.shape) == 1:
            weight.assign(ops.zeros_like(weight))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, SIDE, SIDE, 3), "float32")


@pytest.fixture(scope="module")
def decode(detector, images):
    """Offsets from the anchors as corners (y0, x0, y1, x1)."""
    anchors = ops.concatenate(list(detector.anchor_generator(images).values()), axis=0)

    def decoded(offsets, outputs):
        return keras.utils.bounding_boxes.decode_deltas_to_boxes(
            anchors=anchors,
            boxes_delta=offsets,
            encoded_format="center_xywh",
            anchor_format="yxyx",
            box_format="yxyx",
            image_shape=(SIDE, SIDE, 3),
        )

    return decoded


def best_anchors(corners, box):
    """The anchors (N,) of highest intersection over union with a box, in NumPy."""
    low, high = np.maximum(box[:2], corners[..., :2]), np.minimum(box[2:], corners[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = np.prod(corners[..., 2:] - corners[..., :2], axis=-1)
    return (shared / (areas + np.prod(box[2:] - box[:2]) - shared)).argmax(1)


@pytest.mark.parametrize("number", range(CLASSES))
def test_the_gradients_of_a_box_are_those_of_gradient_tape(detector, images, decode, number):
    import tensorflow as tf

    box = np.float32([20, 12, 44, 50])
    target = kam.targets.Box(number, box, boxes="bbox_regression", classes="cls_logits", decode=decode)
    outputs = detector(images, training=False)
    anchors = best_anchors(np.asarray(decode(outputs["bbox_regression"], outputs)), box)
    with tf.GradientTape() as tape:
        x = tf.constant(images)
        tape.watch(x)
        logits = detector(x, training=False)["cls_logits"]
        scores = tf.gather(logits[..., number], anchors, axis=1, batch_dims=1)
    gradients = tape.gradient(scores, x).numpy()
    e = kam.explain(detector, images, "saliency", targets=target)
    assert np.abs(gradients).max() > 0
    np.testing.assert_allclose(e.scores, scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(e.maps, np.abs(gradients).max(-1), atol=1e-4 * np.abs(gradients).max())
    e = kam.explain(detector, images, "gradient_x_input", targets=target)
    expected = (gradients * images).sum(-1)
    np.testing.assert_allclose(e.maps, expected, atol=1e-4 * np.abs(expected).max())


def test_occlusion_of_a_box_is_the_similarity_of_the_sigmoids_of_the_detections(detector, images, decode):
    box = np.float32([20, 12, 44, 50])
    target = kam.targets.Box(1, box, boxes="bbox_regression", classes="cls_logits", decode=decode, activation="sigmoid")

    def similarity(pictures):
        outputs = {key: np.asarray(value) for key, value in detector(pictures, training=False).items()}
        corners, chances = (
            np.asarray(decode(outputs["bbox_regression"], outputs)),
            1 / (1 + np.exp(-outputs["cls_logits"])),
        )
        low, high = np.maximum(box[:2], corners[..., :2]), np.minimum(box[2:], corners[..., 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=-1)
        areas = np.prod(corners[..., 2:] - corners[..., :2], axis=-1) + np.prod(box[2:] - box[:2])
        return (shared / (areas - shared) * chances[..., 1] / np.linalg.norm(chances, axis=-1)).max(1)

    e = kam.explain(detector, images, "occlusion", targets=target, patch=32, stride=32)
    np.testing.assert_allclose(e.scores, similarity(images), rtol=1e-4)
    hidden = images.copy()
    hidden[:, 32:, :32] = 0
    drops = similarity(images) - similarity(hidden)
    assert np.abs(drops).min() > 1e-4
    np.testing.assert_allclose(e.maps[:, 40, 9], drops, atol=1e-5)
