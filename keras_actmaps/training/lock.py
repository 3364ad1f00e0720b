"""A lock on a file that the system releases when the process that holds it ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive(path: Path, message: str) -> Iterator[None]:
    """Hold the lock on `path`, which exists meanwhile; BlockingIOError with `message` if it is held elsewhere."""
    descriptor = _acquire(path, message)
    try:
        yield
    finally:
        try:
            with suppress(OSError):  # Windows does not remove an open file
                path.unlink()
        finally:
            os.close(descriptor)


def _acquire(path: Path, message: str) -> int:
    """The descriptor of the locked file."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            raise BlockingIOError(message) from None
        except OSError:  # a file system without locks
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # its former holder has removed the file in between


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
