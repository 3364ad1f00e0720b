"""Explain a trained model: python explain.py --method gradcam. Writes pictures and raw maps to outputs/."""

import argparse
import sys

from keras_actmaps.cli import main


def parse(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--method", default="gradcam", help="maps, as by gradcam, or looks inside, as feature_maps: one or several, "
        "separated by commas, or all (default: gradcam; --list names them)")  # fmt: skip
    add("--list", action="store_true", help="print the methods, their papers and settings, and stop")
    add("--run", help="a run folder, as runs/grid (default: the newest run)")
    add("--model", help="a .keras file, or a keras.applications name with ImageNet weights, instead of a run")
    add("--image", nargs="+", help="image files")
    add("--index", nargs="+", type=int, help="places of images in the test split")
    add("--split", choices=["test", "validation", "train"], default="test", help="where --index looks (default: test)")
    add("--target", help="a class by name or number, or all (default: the predicted class)")
    add("--layer", help="a layer by name, path or number (default: the last with a spatial output); for feature_maps "
        "several, separated by commas, or a kind: conv (the default), relu, pool, a Keras class, all")  # fmt: skip
    add("--output", default="outputs", help="the folder to write to (default: outputs)")
    add("--colormap", help="of Matplotlib (default: turbo for maps, gray for features)")
    add("--alpha", type=float, default=0.5, help="of the map over the image, 0 to 1 (default: 0.5)")
    add("--boxes", nargs="?", const="0.15", metavar="THRESHOLD", help="draw a box around the largest part of each map "
        "above a fraction of its maximum, or otsu, and write boxes.csv (default, where given alone: 0.15)")  # fmt: skip
    add("--engine", choices=["keras_actmaps", "tf-explain"], default="keras_actmaps", help="whose code computes and "
        "draws: this project's, or the original tf-explain's where it still works")  # fmt: skip
    add("--compare", action="store_true", help="one figure and one table of the methods, compare.png, .csv, .md, .html")
    add("--metrics", help="of the table, separated by commas, or all (default: a few that fit the data)")
    add("--limit", type=int, help="with --compare: images of the split, where none are named (default: 100)")
    add("--data-dir", help="where TFDS data is, if it is not where the run found it")
    add(
        "-s", "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="a setting of the method"
    )
    return parser.parse_args(arguments)


def main() -> None:
    from keras_actmaps.cli import explain
    from keras_actmaps.methods import catalogue

    wanted = vars(arguments)
    if wanted.pop("list"):
        print(catalogue.listing(explain.TABLE))
    else:
        explain.answer(**wanted)


if __name__ == "__main__":
    arguments = parse()
    sys.exit(main.run(main, "explain.py"))
