"""Cards and strips: every panel pixel by pixel, text complete or cut off with an ellipsis, nothing beyond the sheet."""

import cv2
import numpy as np
import pytest
from matplotlib import colormaps

from keras_actmaps import render
from keras_actmaps.core.explanation import Explanation

WHITE = 255


def explanation(maps):
    maps = np.asarray(maps, "float32")
    return Explanation(maps, np.zeros(len(maps), "int64"), np.zeros(len(maps), "float32"), "gradcam")


def repeated(panel, times):
    return np.repeat(np.repeat(panel, times, axis=0), times, axis=1)


def found(picture, part):
    """(y, x) of every place at which a part is in a picture, pixel by pixel."""
    likely = np.argwhere(cv2.matchTemplate(picture, part, cv2.TM_SQDIFF_NORMED) < 1e-3)
    height, width = part.shape[:2]
    return [(y, x) for y, x in likely.tolist() if np.array_equal(picture[y : y + height, x : x + width], part)]


@pytest.mark.parametrize("count, columns", [(1, 1), (4, 2), (10, 2), (12, 3)])
def test_each_card_is_the_image_the_raw_map_and_the_overlay_in_a_row(count, columns):
    rng = np.random.default_rng(0)
    images, maps = rng.random((count, 20, 30, 3)), rng.random((count, 20, 30))
    picture = render.cards(explanation(maps), images, [("a title", "of two lines")] * count, "a caption")
    places = []
    for image, values in zip(np.rint(images * 255).astype("uint8"), maps):
        bright = np.percentile(values, 99.5)
        colors = np.rint(colormaps["turbo"](values.astype("float32") / np.float32(bright))[..., :3] * 255).astype(
            "uint8"
        )
        hot = np.rint(colormaps["turbo"](values.astype("float32") / values.astype("float32").max())[..., :3] * 255)
        over = np.rint(0.5 * image.astype("float32") + 0.5 * hot.astype("float32")).astype("uint8")
        (one,), (two,), (three,) = (found(picture, repeated(part, 5)) for part in (image, colors, over))
        assert one[0] == two[0] == three[0] and 0 < two[1] - one[1] == three[1] - two[1] < 5 * 30 + 20
        places.append(one)
    assert len({x for _, x in places}) == columns and places == sorted(places)


def test_a_signed_map_is_red_where_positive_and_blue_where_negative():
    maps = np.zeros((1, 20, 20))
    maps[0, :, :5], maps[0, :, 15:] = 1, -1
    picture = render.cards(explanation(maps), np.zeros((1, 20, 20, 1)), [("",)])
    colors = np.rint(colormaps["RdBu_r"]((maps[0] + 1) / 2)[..., :3] * 255).astype("uint8")
    assert len(found(picture, repeated(colors, 8))) == 1
    assert colors[0, 0, 0] > colors[0, 0, 2] and colors[0, -1, 0] < colors[0, -1, 2]


def test_a_strip_has_a_row_per_image_and_a_column_per_moment():
    rng = np.random.default_rng(0)
    images, frames = rng.random((3, 16, 16, 1)), rng.integers(0, 256, (4, 3, 16, 16, 3)).astype("uint8")
    words = [["coat 1.0", "bag 2.0", "dress 3.0"]] * 4
    picture = render.strip(
        frames, images, ["true: coat", "true: bag", "true: dress"], [["epoch 1"]] * 4, words, "caption"
    )
    first = np.repeat(np.rint(images * 255).astype("uint8"), 3, axis=-1)
    places = [[found(picture, repeated(panel, 7)) for panel in column] for column in (first, *frames)]
    assert all(len(place) == 1 for column in places for place in column)
    rows, columns = zip(*[[place[0] for place in column] for column in places]), places
    assert all(len({y for y, _ in row}) == 1 for row in rows)
    assert all(len({place[0][1] for place in column}) == 1 for column in columns)
    assert np.all(np.diff([column[0][0][1] for column in places]) > 16 * 7)


def test_large_images_are_reduced_and_tiny_ones_enlarged():
    for side, panel in ((336, 168), (1, 168)):
        images = np.full((1, side, side, 1), 0.5)
        picture = render.cards(explanation(np.zeros((1, side, side))), images, [("",)])
        assert len(found(picture, np.full((panel, panel, 3), 128, "uint8"))) == 1


def ink(picture):
    return np.argwhere((picture < 128).all(axis=-1))


def test_long_text_is_cut_off_and_stays_on_the_sheet():
    images, maps = np.ones((1, 20, 20, 1)), np.zeros((1, 20, 20))
    short = render.cards(explanation(maps), images, [("true: coat",)], "a caption")
    long = render.cards(explanation(maps), images, [("true: coat " * 40,)], "a caption " * 40)
    assert short.shape[1] == long.shape[1] and long.shape[0] > short.shape[0]  # the caption takes more lines
    assert (long[:, -8:] == WHITE).all() and (long[:8] == WHITE).all()
    assert len(ink(long)) > len(ink(short))


def test_a_png_is_written_whole_or_not_at_all(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype("uint8")
    png = render.as_png(picture)
    path = render.save_png(png, tmp_path / "picture.png")
    np.testing.assert_array_equal(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), picture)
    with pytest.raises(OSError):
        render.save_png(png, tmp_path / "nowhere" / "picture.png")
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]
