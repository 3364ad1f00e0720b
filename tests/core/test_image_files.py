"""Image files of every mode and format against the arrays they were written from, and files that are none."""

import os
import struct
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_actmaps.core.image_files import read_header, read_image
from keras_actmaps.core.image_pixels import to_8_bits, to_channels, to_float

RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (6, 8, 3), "uint8")
GRAY = COLOR[..., 0]
DEEP = RANDOM.integers(0, 65536, (6, 8, 3), "uint16")
FRAMES = [Image.fromarray(np.full((6, 8, 3), level, "uint8")) for level in (10, 200)]


def save(path, image, **options):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.mark.parametrize(
    "name, image, expected, tolerance",
    [
        ("gray.png", GRAY, GRAY[..., None], 0),
        ("color.bmp", COLOR, COLOR, 0),
        ("float.tiff", GRAY / np.float32(255), GRAY[..., None], 0),
        ("bilevel.png", GRAY > 99, 255 * (GRAY > 99)[..., None], 0),
        ("alpha.png", Image.fromarray(COLOR[..., :2], "LA"), GRAY[..., None], 0),
        ("alpha.webp", Image.fromarray(np.dstack([COLOR, np.full((6, 8), 9, "uint8")])), COLOR, 0),
        ("palette.png", Image.fromarray(COLOR).quantize(64), COLOR, 8),
        ("palette.gif", Image.fromarray(GRAY).convert("P"), np.repeat(GRAY[..., None], 3, 2), 0),
        ("cmyk.jpg", Image.fromarray(np.full((16, 16, 3), (200, 50, 20), "uint8")).convert("CMYK"), (200, 50, 20), 3),
        ("cmyk.tiff", Image.fromarray(COLOR).convert("CMYK"), COLOR, 1),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_mode_is_read_as_gray_or_rgb(tmp_path, name, image, expected, tolerance):
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    pixels, remarks = read_image(save(tmp_path / name, image, **options))
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=tolerance)
    assert read_header(tmp_path / name) == (*pixels.shape, 8)
    assert ("transparency ignored" in remarks) == name.startswith("alpha")


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_kept(tmp_path, suffix, channels):
    path, stored = tmp_path / f"deep.{suffix}", np.dstack([DEEP, DEEP[..., :1]])[..., :channels]
    if channels == 2:
        if suffix == "tiff":
            pytest.skip("Pillow does not read TIFF files of 16-bit gray with an alpha channel")
        path.write_bytes(deep_gray_with_alpha(stored))
    else:
        order = [2, 1, 0, 3] if channels > 2 else [0]
        cv2.imwrite(str(path), stored[..., order[:channels]])
    pixels, _ = read_image(path)
    expected = DEEP if channels > 2 else DEEP[..., :1]
    assert pixels.dtype == np.uint16 and read_header(path).bits == 16
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_allclose(to_float(pixels) / 255, expected / 65535, rtol=3e-7)
    np.testing.assert_allclose(to_8_bits(pixels), expected / 257, atol=0.501)
    gray = to_channels(pixels, 1)[..., 0]
    np.testing.assert_allclose(gray, expected @ [0.299, 0.587, 0.114] if channels > 2 else expected[..., 0], atol=1)


def deep_gray_with_alpha(pixels):
    """A PNG file of (H, W, 2) in 16 bits, without filters."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


MEASURED = """
import re, sys, time
from keras_actmaps.core.image_files import read_image
started = time.process_time()
pixels = read_image(sys.argv[1]).pixels
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]  # unlike ru_maxrss, not that of the parent
print(1024 * int(peak), time.process_time() - started, int(pixels[123, 4567, 0]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak of memory is read from /proc")
def test_the_largest_image_needs_less_than_a_gigabyte_and_two_seconds(tmp_path):
    row = (np.arange(7000 * 3) % 251).astype("uint8").tobytes()
    contents = zlib.compress((b"\0" + row) * 7000, 1)
    (tmp_path / "large.png").write_bytes(
        png(7000, 7000).replace(chunk(b"IDAT", zlib.compress(b"")), chunk(b"IDAT", contents))
    )
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "large.png")]
    peak, seconds, value = map(float, subprocess.check_output(command, text=True).split())
    assert value == 4567 * 3 % 251
    assert peak < 1e9 and seconds < 2


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_is_its_first_frame_and_that_is_said(tmp_path, suffix):
    path = save(tmp_path / f"film.{suffix}", FRAMES[0], save_all=True, append_images=FRAMES[1:])
    pixels, remarks = read_image(path)
    assert (pixels == 10).all() and remarks == ("the first of several frames",)


@pytest.mark.parametrize("orientation, turn", [(3, 2), (6, -1), (8, 1)])
def test_the_orientation_in_the_exif_data_is_applied(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.png", COLOR, exif=exif)
    pixels, remarks = read_image(path)
    np.testing.assert_array_equal(pixels, np.rot90(COLOR, turn))
    assert remarks == ("turned upright, as its EXIF data says",) and read_header(path)[:3] == pixels.shape


def chunk(kind, contents):
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


def png(width, height, data=b""):
    """A small PNG file that says it is of this size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def hostile(folder):
    noise = RANDOM.integers(0, 256, (99, 99, 3), "uint8")
    for suffix in ("png", "jpg", "webp", "gif", "tiff"):
        whole = save(folder / f"whole.{suffix}", noise).read_bytes()
        (folder / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
        yield f"cut.{suffix}", "is damaged: "
    (folder / "huge.png").write_bytes(png(60_000, 60_000, b"\0" * 10**6))
    yield "huge.png", "has 3,600,000,000 pixels; at most 50,000,000 are read"
    (folder / "large.png").write_bytes(png(8_000, 8_000))
    yield "large.png", "has 64,000,000 pixels; at most 50,000,000 are read"
    (folder / "short.png").write_bytes(png(6_000, 6_000, b"\0" * 10**6))
    yield "short.png", "is damaged: "
    (folder / "text.png").write_text("text")
    yield "text.png", "cannot be read as an image; supported are PNG, JPEG"
    (folder / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    yield "script.eps", "cannot be read as an image"
    (folder / "empty.png").touch()
    yield "empty.png", "it is empty"
    (folder / "folder.png").mkdir()
    yield "folder.png", "it is a folder"
    os.mkfifo(folder / "pipe.png")
    yield "pipe.png", "it is a device or a pipe"
    (folder / "self.png").symlink_to("self.png")
    yield "self.png", "cannot be opened: "
    (folder / "zero.png").symlink_to("/dev/zero")
    yield "zero.png", "it is a device or a pipe"
    yield "absent.png", "no image file"
    yield "null\0.png", "cannot be opened: "


def test_what_is_no_image_is_one_sentence_at_once(tmp_path):
    for name, message in hostile(tmp_path):
        for read in (read_image, read_header):
            started = time.monotonic()
            try:
                read(tmp_path / name)
                assert read is read_header and message == "is damaged: "
            except (ValueError, FileNotFoundError) as error:
                assert message in str(error) and str(error).count("\n") == 0, name
                assert repr(str(tmp_path / name)) in str(error)
            assert time.monotonic() - started < 2, name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.png", COLOR, exif=exif)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path).pixels, np.asarray(ImageOps.exif_transpose(image)))
