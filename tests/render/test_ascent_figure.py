"""The figure and the film of activation maximization."""

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_actmaps import render

IMAGES = np.random.default_rng(0).random((3, 8, 10, 1), "float32")
NAMES = ["coat", "dress", "a bag with a long name"]


def shown(figure):
    return [(panel.get_title(), np.asarray(panel.images[0].get_array())) for panel in figure.axes if panel.images]


def test_each_image_is_above_its_real_one():
    real = 1 - IMAGES
    figure = render.ascent_figure(IMAGES, NAMES, real, ["real 0", "real 1", "real 2"], "what scores highest")
    panels = shown(figure)
    assert [title for title, _ in panels] == [*NAMES, "real 0", "real 1", "real 2"]
    for (_, drawn), image in zip(panels, np.concatenate([IMAGES, real])):
        np.testing.assert_array_equal(drawn, np.repeat(np.rint(image * 255), 3, axis=-1))
    assert figure.get_suptitle() == "what scores highest"


@pytest.mark.parametrize("count, rows, columns", [(1, 1, 1), (10, 2, 5), (37, 5, 8)])
def test_titles_are_not_cut_off_and_do_not_overlap(count, rows, columns):
    names = ["staffordshire_bull_terrier\nlogit 123.4, p = 1.0000"] * count
    figure = render.ascent_figure(np.zeros((count, 8, 8, 3)), names, np.zeros((count, 8, 8, 3)), names)
    assert len(figure.axes) == 2 * rows * columns
    figure.canvas.draw()
    boxes = [panel.title.get_window_extent() for panel in figure.axes if panel.images]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_a_film_shows_its_frames_and_stops_on_the_last(suffix, tmp_path):
    frames = [np.full((3, 8, 10, 1), level, "uint8") for level in (0, 128, 255)]
    path = render.film(frames, NAMES, ["step 1", "step 2", "step 3"], tmp_path / f"ascent.{suffix}")
    assert [file.name for file in tmp_path.iterdir()] == [f"ascent.{suffix}"]
    film, levels = cv2.VideoCapture(str(path)), []
    if suffix == "gif":
        with Image.open(path) as gif:
            times = []
            for number in range(gif.n_frames):
                gif.seek(number)
                levels.append(middle(np.asarray(gif.convert("RGB"))))
                times.append(gif.info["duration"])
            assert times[-1] >= 1500 > times[0] > 0
    else:
        while (read := film.read())[0]:
            levels.append(middle(read[1]))
        assert len(levels) >= 3 + 18
    np.testing.assert_allclose([levels[0], levels[1], levels[-1]], [0, 128, 255], atol=6)


def middle(frame):
    """The mean of the pixel in the middle of the second of three panels."""
    return frame[frame.shape[0] // 2, frame.shape[1] // 2].mean()


def test_another_format_raises_and_a_film_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="film must be 'gif' or 'mp4', got 'avi'"):
        render.film([IMAGES], NAMES, ["step 1"], tmp_path / "ascent.avi")
    with pytest.raises(ValueError, match="cannot be drawn"):
        render.film([IMAGES, IMAGES[0]], NAMES, ["step 1", "step 2"], tmp_path / "ascent.mp4")
    assert not list(tmp_path.iterdir())
