"""The options of `explain.py --all`, which explains a whole data set, and of `--status`, which says how far it is."""

from keras_actmaps.cli.arguments import Count, Parser, nonempty, typed

ENGINES = ("processes", "ray")


def add_bulk_options(parser: Parser) -> None:
    """Add `--all` and the options that only it reads."""
    add = parser.add_argument
    add(
        "--all",
        action="store_true",
        help="explain all images of the split, of --image DIR or of --inputs FILE into --output, resumably; the same "
        "command continues",
    )
    add("--workers", type=typed(Count), help="with --all: worker processes (default: one per GPU, else one)")
    add("--status", type=nonempty, metavar="DIR", help="print how far a run of --all is, and stop")
