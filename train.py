"""Train a model on a data set: python train.py [--dataset NAME]. Writes runs/<dataset>/."""

import argparse
import sys

from keras_actmaps.cli import main


def parse(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--dataset", help="grid, drawn-grid, cifar10, pets or folder:DIR (default: grid where its data is at hand)")
    add("--backbone", help="a keras.applications network or squeezenet, settings after a colon: mobilenet:alpha=0.25")
    add("--weights", help="of the backbone: a file, imagenet or none; with weights only a linear head is trained")
    add("--epochs", type=int, help="default: the data set's protocol, as are the next two")
    add("--batch-size", type=int)
    add("--learning-rate", type=float)
    add("--limit", type=int, help="at most this many images of each split")
    add("--data-dir", help="where TFDS data is (default: $TFDS_DATA_DIR, then TFDS's own folder)")
    add("--seed", type=int, default=0)
    add("--runs", default="runs", help="the folder of all runs (default: runs)")
    add("--resume", action="store_true", help="go on from the last finished epoch")
    add("--explain", metavar="METHOD[,METHOD]", help="explain the same validation images after each epoch: pictures, a "
        "strip and the maps' share on the object, by these methods")  # fmt: skip
    return parser.parse_args(arguments)


def main() -> None:
    from keras_actmaps import data
    from keras_actmaps.callbacks import explain_callback
    from keras_actmaps.training import train

    methods = settings.pop("explain")
    if methods:
        settings["callbacks"] = explain_callback.of_run(methods)
    if settings["dataset"] is None:
        settings["dataset"], why = data.default(settings["data_dir"])
        print(why)
    train.train(**settings)


if __name__ == "__main__":
    settings = vars(parse())
    sys.exit(main.run(main, "train.py"))
