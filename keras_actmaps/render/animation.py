"""Films of images that change, as GIF or MP4."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_actmaps.core.files import atomic_write
from keras_actmaps.core.settings import Ge, Le, Setting
from keras_actmaps.core.types import Array
from keras_actmaps.render.ascent import columns_for
from keras_actmaps.render.images import pixels
from keras_actmaps.render.panels import CAPTION, hide_rest, panel_grid, show_image, wrap_text

FRAME_RATE = 12  # frames per second
STILL = 2  # seconds on the last frame
DPI = 54
_FORMAT = Setting("film", Literal["gif", "mp4"], "gif", "file format")
_SPEED = Setting("speed", Annotated[int, Ge(1), Le(100)], FRAME_RATE, "frames per second")


def film(
    frames: Iterable[Array],
    titles: Sequence[str],
    captions: Sequence[str],
    path: str | os.PathLike,
    speed: int = FRAME_RATE,
    columns: int | None = None,
) -> Path:
    """Write an animation of K images atomically.

    Parameters
    ----------
    frames : iterable of arrays of shape (K, H, W, 1 or 3)
        In temporal order.
    titles : sequence of str
        One per image.
    captions : sequence of str
        One per frame.
    path : path
        A name that ends in .gif or .mp4 (VP9).
    speed : int
        Frames per second.
    columns : int, optional
        Images side by side.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        For another file format.
    OSError
        If the file cannot be written.
    """
    path, speed = Path(path), _SPEED.validate(speed)
    check_film(path.suffix[1:])
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    with atomic_write(path) as temporary:
        write(_figures(frames, titles, captions, speed, columns or columns_for(len(titles))), temporary, speed)
    return path


def check_film(film: str) -> None:
    """ValueError for a file format other than "gif" and "mp4"."""
    _FORMAT.validate(film)


def _figures(
    frames: Iterable[Array], titles: Sequence[str], captions: Sequence[str], speed: int, columns: int
) -> Iterator[Figure]:
    """One figure that shows the frames one after another, and the last one for STILL seconds."""
    figure, axes = panel_grid(-(-len(titles) // columns), columns, "")
    hide_rest(axes, len(titles))
    captions = [wrap_text(caption, 0.92 * figure.get_figwidth()) for caption in captions]
    head = figure.suptitle(captions[0], **CAPTION)
    canvas = FigureCanvasAgg(figure)
    panels = axes.ravel()[: len(titles)]
    for images, caption in zip(frames, captions):
        for panel, image, title in zip(panels, pixels(images), titles):
            _update(panel, image, title)
        head.set_text(caption)
        canvas.draw()
        figure.set_layout_engine("none")  # the layout of the first frame is kept
        yield figure
    for _ in range(STILL * speed):
        yield figure


def _update(panel: Axes, image: Array, title: str) -> None:
    """Show an image in a panel, or replace the one that it shows."""
    if panel.images:
        panel.images[0].set_data(image)
    else:
        show_image(panel, image, title)


def _write_gif(figures: Iterable[Figure], path: Path, speed: int) -> None:
    from matplotlib.animation import PillowWriter  # slow to import

    writer = PillowWriter(speed)
    for number, figure in enumerate(figures):
        if number == 0:
            writer.setup(figure, path, DPI)
        writer.grab_frame()
    writer.finish()


def _write_mp4(figures: Iterable[Figure], path: Path, speed: int) -> None:
    writer: cv2.VideoWriter | None = None
    for figure in figures:
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        frame = np.asarray(canvas.buffer_rgba())[..., :3]
        height, width = (side - side % 2 for side in frame.shape[:2])  # VP9 requires even sides
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"vp09"), speed, (width, height))
        writer.write(cv2.cvtColor(frame[:height, :width], cv2.COLOR_RGB2BGR))
    if writer is not None:
        writer.release()
    if not path.is_file() or not path.stat().st_size:
        raise OSError("OpenCV could not write the film as .mp4 (VP9); .gif needs no encoder")
