"""The engine "processes": one process per worker, started by spawn, since TensorFlow and JAX do not survive a fork."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from keras_actmaps.bulk.engine import Event
from keras_actmaps.bulk.job import Job, Task
from keras_actmaps.bulk.worker import Outcome, perform

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")  # NPROC: of XLA on CPUs
STARTS = 3  # of a worker that dies before it is ready
PATIENCE = 10  # seconds in which an idle worker ends by itself
_environment = threading.Lock()


class ProcessEngine:
    """A pool of processes, each with one model; a process that dies is replaced."""

    def __init__(self, job: Job, workers: int):
        self._content = dumps(job)
        self._context = multiprocessing.get_context("spawn")
        self._threads = max(1, cores() // workers)
        self._gpus = gpus()
        self._pool = [self._start(number) for number in range(workers)]
        self._starts = [1] * workers
        self._is_busy = [False] * workers

    def submit(self, worker: int, task: Task) -> None:
        """Start a task on an idle worker."""
        self._is_busy[worker] = True
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, which `events` reports
            self._pool[worker][1].send(task)

    def events(self, timeout: float) -> list[Event]:
        """What has happened; waits at most so many seconds for something."""
        found = []
        ready = wait([connection for _, connection in self._pool], timeout)
        for number, (_, connection) in enumerate(self._pool):
            if connection not in ready:
                continue
            try:
                kind, value = connection.recv()
            except (EOFError, ConnectionResetError, pickle.UnpicklingError):
                found += self._replace(number)
                continue
            if kind == "ready":
                self._starts[number] = 0
            elif kind == "end":
                self._is_busy[number] = False
            found.append(Event(number, kind, value))
        return found

    def _replace(self, number: int) -> list[Event]:
        """Start another process in the place of one that has died; its task, if any, is lost."""
        process, connection = self._pool[number]
        process.join()
        connection.close()
        reason = _how_it_ended(process.exitcode)
        if self._starts[number] >= STARTS:
            raise RuntimeError(
                f"a worker process {reason} before it was ready, {STARTS} times; see its messages above. A script that "
                'starts workers needs `if __name__ == "__main__":` around what it does'
            )
        self._starts[number] += 1
        self._pool[number] = self._start(number)
        was_busy, self._is_busy[number] = self._is_busy[number], False
        return [Event(number, "end", Outcome("lost", reason))] if was_busy else []

    def close(self) -> None:
        """End all workers; the shards at hand are dropped."""
        for (process, connection), is_busy in zip(self._pool, self._is_busy):
            with suppress(OSError):
                connection.send(None)
            if is_busy:
                process.terminate()
        for process, connection in self._pool:
            process.join(PATIENCE)
            process.terminate()
            process.join()
            connection.close()

    def _start(self, number: int) -> tuple[Any, Connection]:
        """A process and the driver's end of its pipe."""
        own, other = self._context.Pipe()
        process = self._context.Process(target=serve, args=(other, self._content), daemon=True)
        with _variables(self._variables(number)):
            process.start()
        other.close()  # so that the pipe ends with the process
        return process, own

    def _variables(self, number: int) -> dict[str, str]:
        """The environment of a worker. Threads are set before it starts: the user's script may import a framework."""
        found = {name: str(self._threads) for name in THREADS if name not in os.environ}
        if self._gpus:
            found["CUDA_VISIBLE_DEVICES"] = self._gpus[number % len(self._gpus)]
        return found


def serve(connection: Connection, content: bytes) -> None:
    """The main function of a worker process. It ends with its driver, at the latest after the batch at hand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            job = pickle.loads(content)
        except Exception as error:
            text = " ".join(str(error).split())
            connection.send(("ready", None))
            connection.recv()
            connection.send(("end", Outcome("refused", f"a worker cannot load the model or the source: {text}")))
            return
        connection.send(("ready", None))
        while (task := connection.recv()) is not None:
            outcome = perform(
                job,
                task,
                lambda rows: connection.send(("rows", rows)),
                lambda text: connection.send(("say", text)),
            )
            connection.send(("end", outcome))


def dumps(job: Job) -> bytes:
    """The job as bytes, by cloudpickle where it is installed; TypeError for what cannot be sent to a process."""
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        return pickler.dumps(job)
    except Exception as error:  # of any object inside
        raise TypeError(
            f"the model, the source or a setting cannot be sent to worker processes ({' '.join(str(error).split())}); "
            "engine='serial' needs none"
        ) from error


def cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    folder = "/proc/driver/nvidia/gpus"
    return [str(number) for number in range(len(os.listdir(folder)))] if os.path.isdir(folder) else []


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes started meanwhile."""
    with _environment:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with status {code}"
