"""explain.py --model FILE: its preprocessing, its class names, its code; and images that are hard to read."""

import os

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from keras_actmaps import Explanation

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), "uint8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models with and without preprocessing, an image, and class names."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    images = keras.Input((12, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(images))
    plain = keras.Model(images, layers.Dense(3)(x), name="plain")
    plain.save(folder / "plain.keras")
    keras.Sequential([images, layers.Rescaling(1 / 127.5, -1), plain], name="whole").save(folder / "whole.keras")
    code = keras.Sequential([images, layers.Lambda(lambda x: x / 127.5 - 1, name="code"), plain], name="code")
    code.save(folder / "code.keras")
    Image.fromarray(PIXELS).save(folder / "image.png")
    (folder / "names.txt").write_text("cat\ndog\nowl\n")
    (folder / "two.txt").write_text("cat\ndog\n")
    return folder


@pytest.fixture
def explain(folder, explain_command, tmp_path, monkeypatch):
    """`explain("plain", ...)` gives the result, and the scores of all classes where there is one."""
    monkeypatch.chdir(folder)

    def run(model, *arguments, image="image.png"):
        arguments = ("--model", f"{model}.keras", "--image", image, "--output", tmp_path, *arguments)
        result = explain_command(*arguments, "--method", "cam" if "--target" in arguments else "saliency")
        found = list(tmp_path.glob("*.npz"))
        return result, Explanation.load(found[0]).scores[0] if found else None

    return run


def logits(folder, inputs):
    return keras.saving.load_model(folder / "plain.keras").predict(inputs[None].astype("float32"), verbose=0)[0]


@pytest.mark.parametrize(
    "model, arguments, inputs, words",
    [
        ("plain", [], PIXELS / 255, "no preprocessing is found in the model, so images are passed in 0..1; if it was"),
        ("plain", ["--scale", "-1-1"], PIXELS / 127.5 - 1, "images are passed as -1-1"),
        ("plain", ["--scale=0-255"], PIXELS, "images are passed as 0-255"),
        ("plain", ["--preprocess", "vgg16"], PIXELS[..., ::-1] - (103.939, 116.779, 123.68), "passed as vgg16"),
        ("whole", [], PIXELS / 127.5 - 1, "the model preprocesses its inputs, so images are passed in 0..255"),
        ("whole", ["--scale", "0-1"], PIXELS / 255 / 127.5 - 1, "warning: the images are passed as 0-1, but the first"),
        ("code", ["--allow-unsafe-model"], PIXELS / 127.5 - 1, "so images are passed in 0..255"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_images_are_passed_as_the_model_expects_or_as_is_said(explain, folder, model, arguments, inputs, words):
    (status, stdout, stderr), score = explain(model, *arguments, "--classes", "names.txt")
    assert (status, stderr) == (0, "") and words in stdout
    expected = logits(folder, inputs)
    assert score == pytest.approx(expected.max(), rel=1e-4, abs=1e-4)
    assert f"predicted: {('cat', 'dog', 'owl')[expected.argmax()]}" in stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--classes", "two.txt"], "'two.txt' has 2 names, but 'plain' has 3 outputs"),
        (["--classes", "absent"], "no file of class names 'absent'"),
        (["--scale", "1-0"], "argument --scale: invalid choice: '1-0'"),
        (["--preprocess", "nope"], "preprocess must be one of convnext, densenet"),
        (["--preprocess", "vgg16", "--scale", "0-1"], "not allowed with argument"),
    ],
)
def test_options_of_a_model_that_do_not_fit_are_one_line(explain, arguments, message):
    (status, _, stderr), _ = explain("plain", *arguments)
    assert status == 2 and message in stderr and stderr.count("\n") == 1


def test_options_of_a_model_need_a_model_file(explain_command):
    for arguments in (["--scale", "0-1"], ["--preprocess", "vgg16"], ["--classes", "x"], ["--allow-unsafe-model"]):
        status, _, stderr = explain_command(*arguments)
        assert status == 2 and "need --model FILE" in stderr


def test_code_in_a_model_file_is_named_and_not_run(explain):
    (status, _, stderr), _ = explain("code")
    assert status == 2 and stderr.count("\n") == 1
    assert "contains Python code in the layer 'code', which is not run; if you trust the file, pass --allow-" in stderr


def test_conversions_of_an_image_are_said(explain, folder, tmp_path):
    frames = [Image.fromarray(np.rot90(PIXELS)).quantize(32), Image.new("P", (12, 16))]
    exif = Image.Exif()
    exif[0x0112] = 6
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.rot90(PIXELS)).save(tmp_path / "turned.png", exif=exif)
    (status, stdout, _), score = explain("plain", "--scale", "0-1", image=str(tmp_path / "turned.png"))
    assert status == 0 and "turned.png: turned upright, as its EXIF data says" in stdout
    assert score == pytest.approx(logits(folder, PIXELS / 255).max(), rel=1e-4)
    (status, stdout, _), _ = explain("plain", image=str(tmp_path / "film.gif"))
    assert status == 0 and "film.gif: the first of several frames" in stdout


def test_a_model_with_channels_first_gets_its_image_in_that_order(explain_command, folder, tmp_path):
    images = keras.Input((3, 12, 16))
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(layers.Rescaling(1 / 255)(images))
    kernel = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 4]])
    model = keras.Model(images, layers.Dense(3)(x))
    model.layers[-1].set_weights([kernel, np.zeros(3)])
    model.save(tmp_path / "first.keras")
    arguments = ("--model", tmp_path / "first.keras", "--image", folder / "image.png", "--target", 2)
    status, stdout, stderr = explain_command(*arguments, "--method", "gradient_x_input", "--output", tmp_path / "out")
    assert (status, stderr) == (0, "") and "images are passed in 0..255" in stdout
    e = Explanation.load(tmp_path / "out" / "gradient_x_input.npz")
    assert e.scores[0] == pytest.approx(PIXELS[..., 2].mean() / 255 * 4, rel=1e-4)
    np.testing.assert_allclose(e.maps.squeeze(), PIXELS[..., 2] / 255 * 4 / (12 * 16), rtol=1e-4, atol=1e-7)


def test_what_is_no_image_is_one_line(explain, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "pipe.png").name.encode())
    for name, message in (("pipe.png", "it is a device or a pipe"), ("cut.png", "cannot be read as an image")):
        (status, _, stderr), _ = explain("plain", image=str(tmp_path / name))
        assert status == 2 and message in stderr and stderr.count("\n") == 1
