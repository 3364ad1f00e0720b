"""folder:DIR: splits, channels, and one-line errors for folders that cannot be used."""

import os

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from keras_actmaps import data
from keras_actmaps.core.image_files import read_image
from keras_actmaps.data import geometry
from keras_actmaps.training import train


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


def test_the_size_is_the_median_of_the_shorter_sides_and_what_is_resized_is_said(tmp_path):
    for number in range(60):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", number, (48, 64))
    write(tmp_path / "a" / "odd.png", 9, (9, 300))
    info = data.load(f"folder:{tmp_path}").info
    assert info.image_shape == (48, 48, 1)
    (remark,) = info.remarks
    assert remark.endswith("are resized to a shorter side of 48 pixels and cropped; 1 of them are enlarged")
    assert remark.startswith(
        f"{info.counts['train']} of {info.counts['train']} training images, of height x width 9x300"
    )
    assert data.load(f"folder:{tmp_path}", size=9).info.remarks == ()


def test_a_long_strip_is_read_at_its_center(directory):
    strip = np.zeros((3, 60_000), "uint8")
    strip[:, 29_900:30_100] = 255
    for path in (directory / "dark").iterdir():
        Image.fromarray(strip).save(path)
    images, labels = everything(data.load(f"folder:{directory}", size=160).test)
    assert images.shape[1:] == (160, 160, 1) and (images[labels == 1] == 1).all() and (labels == 1).any()


def test_what_is_named_like_an_image_but_is_none_is_skipped_and_said(directory):
    (directory / "dark" / "folder.png").mkdir()
    (directory / "dark" / "link.png").symlink_to("absent.png")
    (directory / "dark" / "self.png").symlink_to("self.png")
    (directory / "dark" / "._1.png").write_bytes(b"\0\5\x16\7")
    (directory / "dark" / "empty.jpg").touch()
    os.mkfifo(directory / "dark" / "pipe.png")
    write(directory / ".hidden" / "1.png", 3)
    info = data.load(f"folder:{directory}", size=20).info
    assert info.counts == {"train": 32, "validation": 4, "test": 4} and info.classes == ("bright", "dark")
    (remark,) = info.remarks
    assert remark.startswith("skipped: ") and remark.endswith(" and 1 more")
    assert "dark/._1.png (hidden), dark/empty.jpg (empty), dark/folder.png (a folder)" in remark
    assert "dark/link.png (a dangling link)" in remark and "dark/pipe.png (a device or a pipe)" in remark


def test_a_truncated_image_is_named_before_training(directory):
    broken = directory / "dark" / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:-60])
    loaded = data.load(f"folder:{directory}")
    with pytest.raises(ValueError, match=r"^'.*dark/3\.jpg' is damaged: [^\n]*$"):
        loaded.check()
    with pytest.raises(ValueError, match=r"dark/3\.jpg' is damaged"):
        train.train(f"folder:{directory}", runs=directory / "runs", say=lambda _: None)
    assert not list((directory / "runs").iterdir())


def test_the_orientation_in_the_exif_data_is_applied(directory):
    upright = np.zeros((20, 30), "uint8")
    upright[:, :10] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row of the file is the right side of the image
    for name in ("bright", "dark"):
        for path in (directory / name).iterdir():
            Image.fromarray(np.rot90(upright)).save(path, exif=exif, quality=95)
    images, _ = everything(data.load(f"folder:{directory}").test)
    expected = upright[:, 5:25, None] / 255  # the center
    np.testing.assert_allclose(images, np.broadcast_to(expected, images.shape), atol=0.05)


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


def bumps(shape, dtype="uint8", channels=3):
    """A picture in which every pixel differs from its neighbours."""
    highest = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, highest, (*shape, channels), dtype, endpoint=True)


@pytest.mark.parametrize("shape", [(20, 33), (41, 20), (20, 20), (20, 130), (50, 61)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_photograph_is_fitted_as_the_pipeline_does_to_the_last_bit(tmp_path, shape, dtype):
    for number in range(12):
        write(tmp_path / "a" / f"{number}.png", 20 * number, (20, 20), 3)
        (tmp_path / "b").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "b" / f"{number}.png"), bumps(shape, dtype)[..., ::-1])
    loaded = data.load(f"folder:{tmp_path}", size=20)
    images, labels = everything(loaded.test)
    assert (labels == 1).any()
    pixels = read_image(tmp_path / "b" / "0.png").pixels
    for image in images[labels == 1]:
        np.testing.assert_array_equal(image, loaded.info.normalize(data.fit_photo(pixels, 20, 3)))
    if shape == (20, 20):
        np.testing.assert_allclose(image, bumps(shape, dtype) / np.iinfo(dtype).max, rtol=3e-7)


def test_a_large_photograph_is_averaged_before_it_is_resized(monkeypatch):
    monkeypatch.setattr(geometry, "LARGE", 1000)
    pixels = bumps((90, 170)) // 4
    pixels[:, :85] += 150
    reduced = geometry.prepare(pixels, 5, 3)
    centered = pixels[1:89, 1:169].reshape(22, 4, 42, 4, 3)
    assert reduced.shape == (22, 42, 3)
    np.testing.assert_allclose(reduced, centered.mean((1, 3)), atol=0.51)
