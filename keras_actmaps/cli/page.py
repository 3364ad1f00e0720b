"""The options of `explain.py --ui`, which opens a page in the browser."""

from collections.abc import Sequence

from keras_actmaps.cli.arguments import Parser, Port, nonempty, typed
from keras_actmaps.ui import launch
from keras_actmaps.ui.config import Config


def add_page_options(parser: Parser) -> None:
    """Add `--ui` and the options that only it reads."""
    add = parser.add_argument
    add("--ui", action="store_true", help="open a page in the browser to look through models, and print its address")
    add("--port", type=typed(Port), help=f"with --ui: the port of the page (default: {launch.PORT})")
    add("--runs", type=nonempty, default="runs", help="with --ui: the folder of all runs (default: runs)")
    add(
        "--models",
        type=nonempty,
        action="append",
        default=[],
        metavar="DIR",
        help="with --ui: a folder whose .keras files may be chosen; may be repeated",
    )


def serve(runs: str, models: Sequence[str], data_dir: str | None, port: int | None) -> None:
    """Serve the page until Ctrl-C; ImportError without Streamlit, OSError if the server stops by itself."""
    launch.serve(Config(runs, tuple(models), data_dir=data_dir), port)
