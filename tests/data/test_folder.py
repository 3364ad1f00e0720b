"""folder:DIR: splits, channels, and one-line errors for folders that cannot be used."""

import keras
import numpy as np
import pytest

from keras_actmaps import data


def write(path, value, shape=(20, 30), channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*shape, channels), value, "uint8")
    keras.utils.save_img(path, pixels, scale=False)


@pytest.fixture
def directory(tmp_path):
    for number in range(20):
        write(tmp_path / "bright" / f"{number}.png", 200 + number)
        write(tmp_path / "dark" / f"{number}.jpg", 20 + number)
    return tmp_path


def everything(dataset):
    images, labels = zip(*[(x, y) for x, y, *_ in dataset.as_numpy_iterator()])
    return np.concatenate(images), np.concatenate(labels)


def test_labels_are_those_of_the_folders_and_every_image_is_in_one_split(directory):
    loaded = data.load(f"folder:{directory}")
    assert loaded.info.classes == ("bright", "dark")
    assert loaded.info.counts == {"train": 32, "validation": 4, "test": 4}
    assert loaded.info.image_shape == (20, 20, 1)
    levels = []
    for split in ("train", "validation", "test"):
        images, labels = everything(loaded.truth(split))
        np.testing.assert_array_equal(labels, images.mean((1, 2, 3)) < 0.5)
        levels += np.rint(images.mean((1, 2, 3)) * 255).astype(int).tolist()
    assert sorted(levels) == sorted([*range(20, 40), *range(200, 220)])


def test_train_and_test_folders_and_color(tmp_path):
    for split, count in (("train", 10), ("test", 3)):
        for name in ("a", "b"):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.png", 90, (12, 12), 3 if name == "b" else 1)
    loaded = data.load(f"folder:{tmp_path}", size=8)
    assert loaded.info.counts == {"train": 18, "validation": 2, "test": 6}
    assert everything(loaded.test)[0].shape == (6, 8, 8, 3)


def test_the_message_names_a_text_file_that_ends_in_png(directory):
    (directory / "dark" / "notes.png").write_text("no image at all")
    with pytest.raises(
        ValueError, match=r"notes.png' is neither a PNG nor a JPEG file, although its name ends like one"
    ):
        data.load(f"folder:{directory}")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda root: None, "no class folder with a .png, .jpg, .jpeg image in"),
        (lambda root: (root / "empty").mkdir(), "no class folder with a .png, .jpg, .jpeg image in"),
        (lambda root: write(root / "one" / "1.png", 3), "only one class, 'one', in"),
        (lambda root: [write(root / n / "1.png", 3) for n in "ab"], "too few images in"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        data.load(f"folder:{tmp_path}")
    with pytest.raises(FileNotFoundError, match="no folder"):
        data.load(f"folder:{tmp_path / 'absent'}")
