"""Uploads, filters of the gallery and the brush, against pixels made by hand."""

import base64
import io

import numpy as np
import pytest
from helpers import linear_network
from helpers.uploads import png_of
from PIL import Image

import keras_actmaps as kam
from keras_actmaps.models.preprocessing import RANGES
from keras_actmaps.ui import components, perturbing
from keras_actmaps.ui.inputs import Gallery, decode_upload
from keras_actmaps.ui.models import Choice, Loaded
from keras_actmaps.ui.predictions import probabilities
from keras_actmaps.ui.state import View


@pytest.fixture
def loaded():
    model, _, _ = linear_network((8, 12, 3), classes=4)
    return Loaded(Choice("file", "x.keras"), model, ("a", "b", "c", "d"), RANGES["0-1"])


def test_a_photo_with_exif_rotation_is_turned_upright(loaded):
    pixels = np.zeros((12, 8, 3), "uint8")
    pixels[:4] = 255  # the upper third, which is at the right after a turn by 90 degrees clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    picture = decode_upload(buffer.getvalue(), "photo.png", loaded)
    assert picture.pixels.shape == (8, 12, 3)
    np.testing.assert_array_equal(picture.pixels, np.rot90(pixels, -1))
    np.testing.assert_allclose(picture.inputs, np.rot90(pixels, -1)[None] / 255)
    assert "upright" in picture.remarks[0]


def test_what_is_no_image_is_refused_by_its_content(loaded):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), "uint8")).save(buffer, "JPEG")
    contents = {
        "cannot be read as an image": b"not an image <script>alert(1)</script>",
        "has 900,000,000 pixels": png_of(30_000, 30_000),
        "is damaged": buffer.getvalue()[:700],
        "is empty": b"",
        "is larger than 10 MB": b"x" * 10_000_001,
    }
    for message, content in contents.items():
        with pytest.raises(ValueError, match=message):
            decode_upload(content, "photo.png", loaded)


def test_the_gallery_is_filtered_by_class_outcome_and_confidence():
    rows = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45], [0.2, 0.8]], "float32")
    gallery = Gallery("test", np.zeros((4, 2, 2, 1), "uint8"), np.array([0, 0, 1, 1]), rows)
    assert gallery.select() == [0, 1, 2, 3]
    assert gallery.select(label=1) == [2, 3]
    assert gallery.select(outcome="right") == [0, 3] and gallery.select(outcome="wrong") == [1, 2]
    assert gallery.select(lowest=0.6, highest=0.85) == [1, 3]


def test_probabilities_are_the_softmax_of_logits(loaded):
    inputs = np.random.default_rng(0).random((20, 8, 12, 3), "float32")
    logits = loaded.model.predict(inputs, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities(loaded, inputs), expected, rtol=1e-4)


def test_numbers_for_the_browser_are_exact_to_16_bits():
    values = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    sent = components.as_numbers(values)
    read = np.frombuffer(base64.b64decode(sent["values"]), "<i2").reshape(5, 7) * sent["largest"] / 32767
    np.testing.assert_allclose(read, values, atol=np.abs(values).max() / 32767 / 2 * 1.001)


def test_the_brush_replaces_what_is_painted_or_all_else():
    pixels = np.arange(24, dtype="uint8").reshape(4, 6, 1)
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:4] = True
    inside = perturbing.perturb(pixels, mask, "black")
    assert (inside[mask] == 0).all() and (inside[~mask] == pixels[~mask]).all()
    other = np.full_like(pixels, 99)
    outside = perturbing.perturb(pixels, mask, "another image", outside=True, other=other)
    assert (outside[~mask] == 99).all() and (outside[mask] == pixels[mask]).all()
    nothing = np.zeros_like(mask)
    np.testing.assert_array_equal(perturbing.perturb(pixels, nothing, "noise", outside=True), pixels)


def test_a_shift_repeats_the_edge():
    pixels = np.arange(24, dtype="uint8").reshape(4, 6, 1)
    shifted = perturbing.perturb(pixels, np.zeros((4, 6), bool), "black", shift=(2, -1))
    expected = np.pad(pixels, ((0, 1), (2, 0), (0, 0)), mode="edge")[1:, :6]
    np.testing.assert_array_equal(shifted, expected)


def test_a_mask_from_the_browser_is_read_and_a_malformed_one_is_nothing():
    mask = np.zeros((8, 12, 3), "uint8")
    mask[2:5, 3:9] = 255
    np.testing.assert_array_equal(perturbing.decode_mask(components.as_png(mask), (8, 12)), mask[..., 0] > 0)
    for address in ("", "file:///etc/passwd", "data:image/png;base64,!!!", "data:image/png;base64,aGVsbG8="):
        assert not perturbing.decode_mask(address, (8, 12)).any()


def test_the_answer_to_a_changed_image_is_that_of_explain(loaded):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 12, 3), "uint8")
    found = perturbing.answer(loaded, pixels, "saliency", View(target="2"))
    expected = kam.explain(loaded.model, pixels[None] / np.float32(255), "saliency", 2)
    np.testing.assert_allclose(found.map, expected.maps[0], rtol=1e-5)
    assert found.target == 2 and found.score == pytest.approx(float(expected.scores[0]), rel=1e-5)
