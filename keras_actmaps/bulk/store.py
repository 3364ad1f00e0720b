"""Where the files of a run are kept: a folder, or any other file system that fsspec knows.

A file exists under its name once it is complete, and only then. In a folder that is a rename; elsewhere, a second file
with the SHA-256 of the first is written after it, and a file without its second does not count.
"""

import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

TEMPORARY = re.compile(r".+\.(?P<host>[^.]+)\.(?P<pid>\d+)\.tmp")
MARKER = ".sha256"


class Store(Protocol):
    """A folder of complete files."""

    @property
    def place(self) -> str:
        """The folder as text, from which `open_store` opens it again, in another process too."""

    def names(self) -> set[str]:
        """The names of the complete files."""

    def has(self, name: str) -> bool:
        """Whether a file exists, completely."""

    def commit(self, name: str, content: bytes) -> None:
        """Write a file that exists completely or not at all, whenever the process or the machine stops."""

    def read(self, name: str) -> bytes:
        """The content of a file; FileNotFoundError if it does not exist."""

    def open(self, name: str) -> IO[bytes]:
        """A file for reading at any position."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it does not exist."""

    def remove_leftovers(self, every: bool = False) -> None:
        """Remove the temporary files of processes that have ended; `every`: all temporary shards."""


def open_store(place: str | os.PathLike) -> Store:
    """The store of a path, or of a URL such as `s3://bucket/run`; ImportError for a URL without fsspec."""
    text = os.fspath(place)
    if "://" not in text:
        return FolderStore(Path(text).expanduser().absolute())
    try:
        import fsspec
    except ImportError:
        raise ImportError(f"{text!r} needs fsspec: pip install 'keras_actmaps[bulk]'") from None
    system, root = fsspec.core.url_to_fs(text)
    return RemoteStore(system, root.rstrip("/"), text)


@dataclass(frozen=True)
class FolderStore:
    """A folder whose file system renames atomically, as POSIX demands."""

    path: Path

    @property
    def place(self) -> str:
        return str(self.path)

    def names(self) -> set[str]:
        try:
            return {name for name in os.listdir(self.path) if not name.endswith(".tmp")}
        except FileNotFoundError:
            return set()

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def commit(self, name: str, content: bytes) -> None:
        with self.written(name) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        """A temporary path that becomes `name` at the end; the caller has flushed it to the disk."""
        self.path.mkdir(parents=True, exist_ok=True)
        temporary = self.path / f"{name}{temporary_suffix()}"
        try:
            yield temporary
            self._rename(temporary, self.path / name)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _rename(self, temporary: Path, final: Path) -> None:
        try:
            temporary.replace(final)
        except FileNotFoundError:  # removed by another driver that has finished the run
            if not final.exists():
                raise
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the name, too, survives a power failure
        except OSError:  # a file system whose folders cannot be flushed
            pass
        finally:
            os.close(descriptor)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def remove_leftovers(self, every: bool = False) -> None:
        for path in self.path.glob("*.tmp"):
            found = TEMPORARY.fullmatch(path.name)
            is_dead = found is not None and found["host"] == host() and not is_running(int(found["pid"]))
            if is_dead or (every and path.name.startswith("shard-")):
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class RemoteStore:
    """A file system of fsspec, such as an object store, where nothing can be renamed."""

    system: Any
    root: str
    place: str

    def names(self) -> set[str]:
        try:
            found = {path.rpartition("/")[2] for path in self.system.ls(self.root, detail=False, refresh=True)}
        except FileNotFoundError:
            return set()
        return {name for name in found if name + MARKER in found}

    def has(self, name: str) -> bool:
        return self.system.exists(f"{self.root}/{name}{MARKER}")

    def commit(self, name: str, content: bytes) -> None:
        self.system.makedirs(self.root, exist_ok=True)
        self.system.pipe_file(f"{self.root}/{name}", content)
        self.system.pipe_file(f"{self.root}/{name}{MARKER}", hashlib.sha256(content).hexdigest().encode())

    def read(self, name: str) -> bytes:
        return self.system.cat_file(f"{self.root}/{name}")

    def open(self, name: str) -> IO[bytes]:
        return self.system.open(f"{self.root}/{name}", "rb")

    def remove(self, name: str) -> None:
        for path in (f"{self.root}/{name}{MARKER}", f"{self.root}/{name}"):  # the marker first
            with suppress(FileNotFoundError):
                self.system.rm_file(path)

    def remove_leftovers(self, every: bool = False) -> None:
        """Nothing: an incomplete file is overwritten."""


def host() -> str:
    """The name of this machine, without dots."""
    return re.sub(r"[^\w-]", "-", socket.gethostname()) or "host"


def temporary_suffix() -> str:
    """What is added to the name of an incomplete file: who writes it."""
    return f".{host()}.{os.getpid()}.tmp"


def is_running(pid: int) -> bool:
    """Whether this machine has such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def require_writable(store: Store) -> None:
    """OSError, before any computation, for a folder that cannot be written to."""
    if not isinstance(store, FolderStore):
        return
    try:
        store.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store.path):
            pass
    except (OSError, ValueError) as error:  # ValueError for a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise OSError(f"cannot write to {store.place!r}: {reason}") from error
