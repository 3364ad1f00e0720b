"""The figure of gradient ascent: what each target wants to see, above the best real image; and its film."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_actmaps.core.files import atomic_write
from keras_actmaps.render.figures import grid_of, in_lines, show
from keras_actmaps.render.images import pixels

COLUMNS = 5
MANY, MANY_COLUMNS = 20, 8  # from so many targets on, so many panels side by side
FILMS = ("gif", "mp4")
SPEED = 12  # frames a second
REST = 2  # seconds on the last frame
DOTS = 54  # a film's pixels an inch


def ascent_figure(images, titles: Sequence[str], real=None, real_titles=None, caption: str = "") -> Figure:
    """One image (K,H,W,C) a target, each above the real image that the target scores highest, where these are given."""
    kinds = [(pixels(images), titles)] + ([] if real is None else [(pixels(real), real_titles)])
    columns = _columns(len(titles))
    blocks = -(-len(titles) // columns)
    figure, axes = grid_of(blocks * len(kinds), columns, caption)
    for row, (drawn, words) in enumerate(kinds):
        panels = axes[row :: len(kinds)].ravel()
        for panel, image, title in zip(panels, drawn, words):
            show(panel, image, title)
    return figure


def film(
    frames: Iterable[np.ndarray], titles: Sequence[str], captions: Sequence[str], path: str | os.PathLike, speed=SPEED
) -> Path:
    """Write images (K,H,W,C), one time after another, as a GIF or an MP4 (VP9), atomic_write or not at all.

    captions: one a frame. speed: frames a second. ValueError for another kind of file, OSError where it cannot be
    written.
    """
    path = Path(path)
    check_film(path.suffix[1:])
    write = _gif if path.suffix == ".gif" else _mp4
    with atomic_write(path) as temporary:
        write(_drawn(frames, titles, captions, speed), temporary, speed)
    return path


def check_film(kind: str) -> None:
    """ValueError for a kind of film that there is not."""
    if kind not in FILMS:
        raise ValueError(f"no film {kind!r}; there are: {', '.join(FILMS)}")


def _columns(count: int) -> int:
    return min(count, MANY_COLUMNS if count >= MANY else COLUMNS)


def _drawn(frames, titles, captions, speed: int):
    """The same figure, with each frame in its turn, and with the last again and again for its rest."""
    columns = _columns(len(titles))
    figure, axes = grid_of(-(-len(titles) // columns), columns, "")
    captions = [in_lines(caption, 0.92 * figure.get_figwidth()) for caption in captions]
    head = figure.suptitle(captions[0], fontsize=10)
    canvas = FigureCanvasAgg(figure)
    panels = axes.ravel()[: len(titles)]
    for images, caption in zip(frames, captions):
        for panel, image, title in zip(panels, pixels(images), titles):
            if panel.images:
                panel.images[0].set_data(image)
            else:
                show(panel, image, title)
        head.set_text(caption)
        canvas.draw()
        figure.set_layout_engine("none")  # the places of the first frame are those of all
        yield figure
    for _ in range(REST * speed):
        yield figure


def _gif(figures, path: Path, speed: int) -> None:
    writer = PillowWriter(speed)
    for number, figure in enumerate(figures):
        if number == 0:
            writer.setup(figure, path, DOTS)
        writer.grab_frame()
    writer.finish()


def _mp4(figures, path: Path, speed: int) -> None:
    writer = None
    for figure in figures:
        figure.set_dpi(DOTS)
        figure.canvas.draw()
        frame = np.asarray(figure.canvas.buffer_rgba())[..., :3]
        height, width = (side - side % 2 for side in frame.shape[:2])  # which the format asks for
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"vp09"), speed, (width, height))
        writer.write(cv2.cvtColor(frame[:height, :width], cv2.COLOR_RGB2BGR))
    writer.release()
    if not path.is_file():
        raise OSError(f"OpenCV could not write {path.name}")
