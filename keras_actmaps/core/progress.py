"""Progress bars for what takes longer than a few seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

DELAY = 3  # seconds without a progress bar


@contextmanager
def progress(name: str, unit: str = "image") -> Iterator[Callable[[int, int | None], None]]:
    """`report(done now, total)` for a bar on the terminal, shown where the work takes longer than a few seconds.

    The bar is removed at the end, and there is none without a terminal.
    """
    with tqdm(desc=name, delay=DELAY, leave=False, disable=None, unit=unit) as bar:

        def report(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done)

        yield report
