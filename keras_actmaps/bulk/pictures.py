"""Sources of pictures: a folder of image files, and TFDS data sets in the order of their files."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.bulk.source import Row, attempt, digest, image_and_label
from keras_actmaps.core.image_files import obstacle, read_image
from keras_actmaps.core.types import Array
from keras_actmaps.models.preprocessing import channels_first
from keras_actmaps.render.images import fit

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Encoding:
    """From the pixels (H, W, C) of any image to the input of a model: resized to its shape, and preprocessed."""

    shape: Shape
    preprocess: Callable[[Array], Any]

    def __call__(self, pixels: Array) -> Array:
        is_first = channels_first(self.shape)
        last = (*self.shape[1:], self.shape[0]) if is_first else self.shape
        sides = [expected or side for expected, side in zip(last, (*pixels.shape[:2], 3))]
        height, width, channels = sides
        encoded = np.asarray(self.preprocess(fit(np.asarray(pixels), (height, width, channels))), "float32")
        return np.moveaxis(encoded, -1, 0) if is_first else encoded


@dataclass(frozen=True, eq=False)
class FolderSource:
    """The image files below a folder, sorted by their path; a file's label is the number of its subfolder, if any."""

    folder: Path
    files: tuple[str, ...]
    labels: tuple[int, ...] | None
    encode: Callable[[Array], Array]

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        for index in range(start, stop):
            yield attempt(self._row, index)

    def _row(self, index: int) -> tuple[Array, int | None]:
        pixels = read_image(self.folder / self.files[index]).pixels
        return self.encode(pixels), None if self.labels is None else self.labels[index]

    def fingerprint(self) -> str:
        """Of the names, sizes and times of the files."""

        def line(name: str) -> str:
            status = (self.folder / name).stat()
            return f"{name} {status.st_size} {status.st_mtime_ns}"

        return digest(*map(line, self.files))


def folder_source(folder: str | os.PathLike, encode: Callable[[Array], Array]) -> FolderSource:
    """The source of a folder; FileNotFoundError if it does not exist or contains no images.

    If images are only in subfolders, these are the classes, in the order of their names.
    """
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}")
    paths = [path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and not obstacle(path)]
    files = tuple(sorted(path.relative_to(root).as_posix() for path in paths))
    if not files:
        raise FileNotFoundError(f"no images in {str(folder)!r}; supported are {', '.join(SUFFIXES)}")
    tops = [name.partition("/")[0] if "/" in name else None for name in files]
    classes = sorted({top for top in tops if top is not None})
    labels = None if None in tops else tuple(classes.index(str(top)) for top in tops)
    return FolderSource(root, files, labels, encode)


@dataclass(frozen=True, eq=False)
class TfdsSource:
    """A split of a prepared TFDS data set, in the order of its files."""

    name: str
    split: str
    data_dir: str | None
    count: int
    version: str
    encode: Callable[[Array], Array]

    def __len__(self) -> int:
        return self.count

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        from keras_actmaps.data import sources

        part = f"{self.split}[{start}:{stop}]"
        dataset = sources.builder(self.name, self.data_dir).as_dataset(split=part, shuffle_files=False)
        for item in dataset.as_numpy_iterator():
            yield attempt(lambda _, item=item: self._row(item), 0)  # type: ignore[misc]

    def _row(self, item: Any) -> tuple[Array, Any]:
        image, label = image_and_label(item)
        return self.encode(image), label

    def fingerprint(self) -> str:
        return digest("tfds", self.name, self.version, self.split, str(self.count))


def tfds_source(
    name: str, split: str, encode: Callable[[Array], Array], data_dir: str | os.PathLike | None = None
) -> TfdsSource:
    """The source of a TFDS data set, such as "mnist" and "test".

    Raises
    ------
    ValueError
        For an unknown split.
    OSError
        If the data set is neither prepared nor can be downloaded.
    """
    from keras_actmaps.data import sources

    info = sources.builder(name, data_dir).info
    if split not in info.splits:
        raise ValueError(f"no split {split!r} in {name!r}; choices: {', '.join(info.splits)}")
    count, folder = info.splits[split].num_examples, None if data_dir is None else os.fspath(data_dir)
    return TfdsSource(name, split, folder, count, str(info.version), encode)
