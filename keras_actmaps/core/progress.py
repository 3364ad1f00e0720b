"""Progress bars for computations of more than a few seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

DELAY = 3  # seconds without a progress bar


@contextmanager
def progress(name: str, unit: str = "image") -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on the terminal, updated by `report(newly done, total)`.

    It appears after DELAY seconds, is removed at the end, and is not shown where the output is no terminal.
    """
    with tqdm(desc=name, delay=DELAY, leave=False, disable=None, unit=unit) as bar:

        def report(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done)

        yield report
