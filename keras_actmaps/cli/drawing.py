"""How the command explain draws: a record, and the options that fill it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from keras_actmaps.cli.arguments import Parser, Share, typed
from keras_actmaps.core.settings import Ge, Lt

Fraction = Annotated[float, Ge(0), Lt(1)]
Threshold = Literal["otsu"] | Fraction
PAPER_THRESHOLD = 0.15  # of Grad-CAM's boxes


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How maps are drawn.

    Attributes
    ----------
    alpha : float or "map"
        Opacity of a map over its image.
    contours : float or None
        Fraction of the maximum at which a line is drawn.
    bands : "mean" or sequence of int
        What is drawn of more than three channels.
    cutout : float, "otsu" or None
        Threshold of the pictures of cut-outs.
    film : {"gif", "mp4"} or None
        Format of the films of volumes and videos.
    full_size : bool
        Whether overlays at the size of the photographs are written.
    """

    alpha: float | str = 0.5
    contours: float | None = None
    bands: str | Sequence[int] = "mean"
    cutout: float | str | None = None
    film: str | None = None
    full_size: bool = False


def add_drawing(parser: Parser) -> None:
    """The options of `Drawing`."""
    add = parser.add_argument
    add(
        "--alpha",
        type=typed(Literal["map"] | Share),
        default=0.5,
        help="opacity of the map over the image, 0 to 1, or map: the map's own values (default: 0.5)",
    )
    add(
        "--contours",
        nargs="?",
        const=0.5,
        type=typed(Fraction),
        metavar="FRACTION",
        help="draw a line where the map falls below this fraction of its maximum (default of the fraction: 0.5)",
    )
    add(
        "--cutout",
        nargs="?",
        const=PAPER_THRESHOLD,
        type=typed(Threshold),
        metavar="THRESHOLD",
        help="write the images with everything dimmed but the part of the map above a fraction of its maximum, or "
        "above Otsu's level (otsu) (default of the fraction: 0.15)",
    )
    add("--full-size", action="store_true", help="with --image: write overlays at the size of the photographs as well")
    add(
        "--film",
        nargs="?",
        const="gif",
        choices=["gif", "mp4"],
        help="with --inputs of volumes or videos: write a film of their slices or frames as well (default: gif)",
    )
    add(
        "--bands",
        type=_bands,
        default="mean",
        metavar="R,G,B",
        help="with --inputs of more than three bands: the three that are drawn, such as 3,2,1, or mean (the default)",
    )


def _bands(text: str) -> Any:
    """The numbers of three channels, or the mean."""
    if text == "mean":
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        return text  # which `check_drawing` refuses, with the choices
