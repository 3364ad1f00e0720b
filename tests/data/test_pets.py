"""Oxford-IIIT Pet: image, mask and box are resized and cropped together."""

import numpy as np
import pytest

from keras_actmaps import data
from keras_actmaps.data.pets import fit


@pytest.mark.parametrize("height, width", [(160, 240), (220, 120), (64, 64)])
def test_mask_and_box_follow_the_image(height, width):
    image = np.zeros((height, width, 3), "uint8")
    top, left, bottom, right = height // 2, width // 2, height // 2 + 24, width // 2 + 16
    image[top:bottom, left:right] = 255
    mask = np.where(image[..., :1] > 0, 1, 2).astype("uint8")
    box = np.array([top / height, left / width, bottom / height, right / width], "float32")
    example = {"image": image, "segmentation_mask": mask, "head_bbox": box, "label": 3}
    fitted, label, truth = fit(example, 64)
    y0, x0, y1, x1 = truth["head_box"].numpy()
    bright = fitted.numpy()[..., 0] > 127
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    np.testing.assert_allclose([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], [y0, x0, y1, x1], atol=1)
    assert np.mean((truth["mask"].numpy() == 1) == bright) > 0.98
    assert (y1 - y0) / (x1 - x0) == pytest.approx(24 / 16, rel=1 / 64)  # up to whole pixels
    assert label == 3


def test_a_missing_box_stays_all_zero():
    example = {
        "image": np.zeros((70, 64, 3), "uint8"),
        "segmentation_mask": np.ones((70, 64, 1), "uint8"),
        "head_bbox": np.zeros(4, "float32"),
        "label": 0,
    }
    assert not fit(example, 64)[2]["head_box"].numpy().any()


def test_masks_cover_the_heads(tfds_data_dir):
    loaded = data.load("pets", tfds_data_dir, size=96, batch_size=64, limit=192)
    assert len(loaded.info.classes) == 37
    heads_inside = []
    for images, _, truth in loaded.truth("train").as_numpy_iterator():
        assert images.shape[1:] == (96, 96, 3)
        for mask, box in zip(truth["mask"], truth["head_box"].astype(int)):
            if box.any():
                heads_inside.append(np.mean(mask[box[0] : box[2], box[1] : box[3]] != 2))
    assert len(heads_inside) > 180
    assert np.median(heads_inside) > 0.8


def test_training_crops_have_the_size_and_change(tfds_data_dir):
    train = data.load("pets", tfds_data_dir, size=64, limit=32).train
    one, two = (next(iter(train))[0].numpy() for _ in range(2))
    assert one.shape[1:] == (64, 64, 3)
    assert np.abs(one - two).max() > 0.1


@pytest.mark.parametrize("height, width", [(160, 240), (221, 120), (64, 64)])
def test_a_photograph_is_fitted_as_the_pipeline_does_to_the_last_bit(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), "uint8")
    mask, box = np.ones((height, width, 1), "uint8"), np.zeros(4, "float32")
    fitted, *_ = fit({"image": image, "segmentation_mask": mask, "head_bbox": box, "label": 0}, 64)
    np.testing.assert_array_equal(data.fit_photo(image, 64, 3), fitted.numpy())
