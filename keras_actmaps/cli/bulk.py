"""The mode --all of the command explain: maps of all images of a split, of a folder or of a file of arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.bulk.pictures import Encoding, FolderSource, folder_source
from keras_actmaps.bulk.run import explain_all
from keras_actmaps.cli.arrays import images_from_arrays
from keras_actmaps.cli.bulk_options import ENGINES
from keras_actmaps.cli.choices import Choice, Mode
from keras_actmaps.cli.inputs import Stream
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.request import Request
from keras_actmaps.methods import METHODS


def validate(options: ExplainOptions) -> None:
    """ValueError for options of the other modes."""
    if "," in options.method or options.is_everything:
        raise ValueError(f"--all explains by one method, got --method {options.method}; run it once for each")
    unused = {
        "--compare": options.compare,
        "--metrics": options.metrics,
        "--index": options.index,
        "--boxes": options.boxes,
        "--colormap": options.colormap,
    }
    for name, value in unused.items():
        if value:
            raise ValueError(f"{name} is not for --all, which writes raw maps only")
    if options.limit is not None and (options.image or options.inputs):
        raise ValueError("--limit is for the images of a split")


def write(request: Request, choices: list[Choice], options: ExplainOptions) -> list[Path]:
    """Explain everything into the folder, or continue there."""
    (choice,) = choices
    if request.subject.model is None:
        raise ValueError("there is no model; pass --run or --model")
    maps = explain_all(
        request.subject.model,
        _source(request, options.limit),
        request.folder,
        choice.name,
        targets=request.target,
        layer=request.layer,
        engine=options.engine if options.engine in ENGINES else ENGINES[0],
        workers=options.workers,
        **choice.settings,
    )
    failed = sum(shard["errors"] for shard in maps.shards)
    request.say(f"{len(maps):,} images explained by {choice.name}{f', of which {failed:,} failed' if failed else ''}")
    return [request.folder / name for name in ("manifest.json", *(["errors.csv"] if failed else []))]


def _source(request: Request, limit: int | None) -> Any:
    """What is explained: the files, the arrays, or the split."""
    if request.inputs:
        if request.inputs.endswith(".npy"):
            return np.load(request.inputs, mmap_mode="r")
        return images_from_arrays(request.traced_at_layer, request.inputs).arrays
    if request.image:
        encode = Encoding(tuple(request.traced_at_layer.input_shape[1:]), request.subject.preprocessing.encode)
        if len(request.image) == 1 and Path(request.image[0]).is_dir():
            return folder_source(request.image[0], encode)
        return FolderSource(Path.cwd(), tuple(request.image), None, encode)
    return _Labeled(Stream(request.subject, request.split, request.data_dir, limit))


class _Labeled:
    """A stream of images and labels, without the truth."""

    def __init__(self, stream: Stream):
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for images, labels, _ in self._stream:
            yield images, labels


MODE = Mode(table=METHODS, validate=validate, write=write)
