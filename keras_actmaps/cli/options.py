"""The options of the commands train and explain: records, and the parsers that fill them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from keras_actmaps.cli.arguments import Count, Index, Parser, Rate, Seed, nonempty, typed
from keras_actmaps.cli.bulk_options import ENGINES, add_bulk_options
from keras_actmaps.cli.drawing import PAPER_THRESHOLD, Threshold, add_drawing
from keras_actmaps.cli.page import add_page_options


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of the command train; None for the default, such as that of the data set's protocol."""

    dataset: str | None = None
    backbone: str | None = None
    weights: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    limit: int | None = None
    data_dir: str | None = None
    seed: int | None = None
    runs: str = "runs"
    resume: bool = False
    explain: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """Options of the command explain; None for an option that is absent."""

    method: str = "gradcam"
    list: bool = False
    supported: bool = False
    run: str | None = None
    model: str | None = None
    image: Sequence[str] | None = None
    inputs: str | None = None
    index: Sequence[int] | None = None
    text: Sequence[str] | None = None
    text_file: str | None = None
    split: str = "test"
    target: str | None = None
    layer: str | None = None
    output: str = "outputs"
    colormap: str | None = None
    alpha: float | str = 0.5
    boxes: float | str | None = None
    contours: float | None = None
    cutout: float | str | None = None
    full_size: bool = False
    film: str | None = None
    bands: str | Sequence[int] = "mean"
    engine: str = "keras_actmaps"
    compare: bool = False
    audit: str | None = None
    all: bool = False
    workers: int | None = None
    status: str | None = None
    metrics: str | None = None
    limit: int | None = None
    data_dir: str | None = None
    settings: Sequence[str] = ()
    scale: str | None = None
    preprocess: str | None = None
    classes: str | None = None
    allow_unsafe_model: bool = False
    ui: bool = False
    port: int | None = None
    runs: str = "runs"
    models: Sequence[str] = ()

    @property
    def is_everything(self) -> bool:
        """Whether all methods are requested, of which those that do not fit the model are skipped."""
        return self.method == "all"


def parse_train(arguments: Sequence[str] | None, name: str) -> TrainOptions:
    """The options of the command train; ValueError for invalid arguments."""
    parser = Parser(prog=name, description="Train a model on a data set. Writes runs/<dataset>/.")
    add = parser.add_argument
    add(
        "--dataset",
        type=nonempty,
        help="grid, drawn-grid, cifar10, pets, imdb, drawn-reviews or folder:DIR (default: grid where it is available)",
    )
    add(
        "--backbone",
        type=nonempty,
        help="a keras.applications network or squeezenet, settings after a colon: mobilenet:alpha=0.25; for texts "
        "text_gap, text_conv, text_lstm or text_transformer",
    )
    add(
        "--weights",
        type=nonempty,
        help="weights of the backbone: a file, imagenet or none; with weights only a linear head is trained",
    )
    add("--epochs", type=typed(Count), help="default: the protocol of the data set, as for the next two")
    add("--batch-size", type=typed(Count))
    add("--learning-rate", type=typed(Rate))
    add("--limit", type=typed(Count), help="at most this many images of each split")
    add("--data-dir", type=nonempty, help="folder of TFDS data (default: $TFDS_DATA_DIR, then the folder of TFDS)")
    add("--seed", type=typed(Seed), help="of the weights and of the order of the images (default: 0)")
    add("--runs", type=nonempty, default="runs", help="the folder of all runs (default: runs)")
    add(
        "--resume",
        action="store_true",
        help="continue after the last finished epoch, with the same settings and explanations",
    )
    add(
        "--explain",
        type=nonempty,
        metavar="METHOD[,METHOD]",
        help="explain the same validation images after each epoch by these methods: pictures, a strip and the "
        "share of the maps on the object",
    )
    return TrainOptions(**vars(parser.parse_args(arguments)))


def parse_explain(arguments: Sequence[str] | None, name: str) -> ExplainOptions:
    """The options of the command explain; ValueError for invalid arguments and conflicting options."""
    parser = Parser(prog=name, description="Explain a trained model. Writes pictures and raw maps to outputs/.")
    _add_inputs(parser)
    _add_outputs(parser)
    add = parser.add_argument
    add(
        "--method",
        type=nonempty,
        default="gradcam",
        help="maps, such as gradcam, or figures of features, such as feature_maps: one or several, separated by "
        "commas, or all (default: gradcam; --list names them)",
    )
    add("--list", action="store_true", help="print the methods with their papers and settings, and stop")
    add("--supported", action="store_true", help="print which methods fit the model, why the others do not, and stop")
    add(
        "-s",
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the methods",
    )
    add(
        "--engine",
        choices=["keras_actmaps", "tf-explain", *ENGINES],
        default="keras_actmaps",
        help="implementation: this package, or the original tf-explain where it still works; with --all: processes on "
        "this machine (the default), or ray for a Ray cluster",
    )
    add("--compare", action="store_true", help="one figure and one table of the methods: compare.png, .csv, .md, .html")
    add(
        "--audit",
        nargs="?",
        const="lrp",
        type=nonempty,
        metavar="METHOD",
        help="what the model relies on over the split, by the maps of a method (lrp): audit.html, .txt and .npz",
    )
    add(
        "--metrics",
        type=nonempty,
        help="metrics of the table, separated by commas, or all (default: a few that fit the data)",
    )
    add_bulk_options(parser)
    add_page_options(parser)
    options = ExplainOptions(**vars(parser.parse_args(_with_negative_range(arguments))))
    if options.model is None and (options.scale or options.preprocess or options.classes or options.allow_unsafe_model):
        raise ValueError("--scale, --preprocess, --classes and --allow-unsafe-model need --model FILE")
    if not options.all and (options.workers is not None or options.engine in ENGINES):
        raise ValueError("--workers, --engine processes and --engine ray need --all")
    if options.audit and (options.compare or options.all):
        raise ValueError("--audit cannot be combined with --compare or --all")
    return replace(options, method=options.audit) if options.audit else options


def _with_negative_range(arguments: Sequence[str] | None) -> list[str]:
    """The arguments with `--scale -1-1` as one, since argparse takes -1-1 for an option."""
    joined: list[str] = []
    for argument in sys.argv[1:] if arguments is None else arguments:
        if joined[-1:] == ["--scale"] and argument == "-1-1":
            joined[-1] = "--scale=-1-1"
        else:
            joined.append(argument)
    return joined


def _add_inputs(parser: Parser) -> None:
    """The model, the images, the target and the layer."""
    models = parser.add_mutually_exclusive_group().add_argument
    models("--run", type=nonempty, help="a run folder, such as runs/grid (default: the newest run)")
    models(
        "--model",
        type=nonempty,
        help="a .keras file, or a keras.applications name with ImageNet weights, instead of a run",
    )
    inputs = parser.add_mutually_exclusive_group().add_argument
    inputs(
        "--scale",
        choices=["0-1", "0-255", "-1-1"],
        help="with --model FILE: the range of the inputs (default: what the first layers of the model suggest)",
    )
    inputs(
        "--preprocess",
        type=nonempty,
        metavar="MODULE",
        help="with --model FILE: the preprocessing of a module of keras.applications, such as mobilenet_v2",
    )
    parser.add_argument(
        "--classes",
        type=nonempty,
        metavar="FILE",
        help="with --model FILE: names of the classes, a name per line, or JSON",
    )
    parser.add_argument(
        "--allow-unsafe-model", action="store_true", help="with --model FILE: run the Python code in its Lambda layers"
    )
    images = parser.add_mutually_exclusive_group().add_argument
    images("--image", nargs="+", type=nonempty, help="image files")
    images("--inputs", type=nonempty, metavar="FILE", help="for any model file: .npy, .npz or .csv of model inputs")
    images("--text", nargs="+", metavar="TEXT", help="with a run on texts: texts to explain")
    images("--text-file", type=nonempty, metavar="FILE", help="with a run on texts: a file with a text in each line")
    images("--index", nargs="+", type=typed(Index), help="positions of images in the split")
    images(
        "--limit",
        type=typed(Count),
        help="images of the split, with --compare (default: 100), --audit (default: 2000) or --all (default: all)",
    )
    add = parser.add_argument
    add(
        "--split",
        choices=["test", "validation", "train"],
        default="test",
        help="split of the run's data set (default: test)",
    )
    add("--data-dir", type=nonempty, help="folder of TFDS data, if it has moved since the run")
    add(
        "--target",
        type=nonempty,
        help="a class by name or number, A-B for the difference of two, or all (default: the predicted class)",
    )
    add(
        "--layer",
        type=nonempty,
        help="a layer by name, path or number (default: the last with a spatial output); for feature_maps "
        "several, separated by commas, or a type: conv (the default), relu, pool, a Keras class, all",
    )


def _add_outputs(parser: Parser) -> None:
    """The folder, and how pictures are drawn."""
    add = parser.add_argument
    add("--output", type=nonempty, default="outputs", help="the folder to write to (default: outputs)")
    add("--colormap", type=nonempty, help="a Matplotlib colormap (default: turbo for maps, gray for features)")
    add_drawing(parser)
    add(
        "--boxes",
        nargs="?",
        const=PAPER_THRESHOLD,
        type=typed(Threshold),
        metavar="THRESHOLD",
        help="draw a box around the largest part of each map above a fraction of its maximum, or above Otsu's "
        "level (otsu), and write boxes.csv (default of the fraction: 0.15)",
    )
