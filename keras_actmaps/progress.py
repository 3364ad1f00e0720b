"""Progress bars for what takes longer than a few seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from keras_actmaps.probe import Probe

PATIENCE = 3  # seconds without a progress bar


@contextmanager
def progress(name: str, unit: str = "image") -> Iterator[Callable[[int, int], None]]:
    """`report(done now, total)` for a bar on the terminal, shown while a work takes longer than a few seconds.

    Nothing is left of the bar, and nothing is shown where there is no terminal.
    """
    with tqdm(desc=name, delay=PATIENCE, leave=False, disable=None, unit=unit) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done)

        yield report


@contextmanager
def reporting(probe: Probe, name: str) -> Iterator[None]:
    """The progress of a probe on such a bar."""
    with progress(name) as report:
        before, probe.report = probe.report, report
        try:
            yield
        finally:
            probe.report = before
