"""CIFAR-10: the augmentation shifts and flips by the documented amount and changes nothing else."""

import numpy as np
import tensorflow as tf

from keras_actmaps import data
from keras_actmaps.data.cifar10 import SHIFT, augment


def test_every_augmented_image_is_a_shift_of_the_image_or_of_its_mirror_image():
    images = np.random.default_rng(0).integers(0, 256, (64, 9, 12, 3), "uint8")
    augmented = augment(tf.constant(images), tf.constant([3, 0], tf.int64)).numpy()
    seen = set()
    for image, changed in zip(images, augmented):
        padded = np.pad(image, [(SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)], "reflect")
        ways = {
            (row, column, mirror): np.array_equal(padded[row : row + 9, column : column + 12][:, ::mirror], changed)
            for row in range(2 * SHIFT + 1)
            for column in range(2 * SHIFT + 1)
            for mirror in (1, -1)
        }
        found = [way for way, fits in ways.items() if fits]
        assert len(found) == 1
        seen.update(found)
    assert {mirror for _, _, mirror in seen} == {1, -1}
    assert {row for row, _, _ in seen} == set(range(2 * SHIFT + 1))


def test_splits_are_complete_and_only_training_images_are_augmented(tfds_data_dir):
    loaded = data.load("cifar10", tfds_data_dir)
    assert loaded.info.counts == {"train": 47_500, "validation": 2_500, "test": 10_000}
    plain = [next(iter(loaded.test))[0].numpy() for _ in range(2)]
    np.testing.assert_array_equal(*plain)
    assert plain[0].max() <= 1 and plain[0].min() >= 0
    one, two = (next(iter(loaded.train))[0].numpy() for _ in range(2))
    assert np.abs(one - two).max() > 0.1
