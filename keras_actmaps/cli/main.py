"""What train.py and explain.py share: a quiet start, and one line for what the user can mend."""

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress

USER_ERRORS = (ValueError, OSError, ImportError)


def run(command: Callable[[], None], name: str) -> int:
    """The exit status of a command: 0; 2 with one line on stderr for what the user can mend; 130 for Ctrl-C."""
    try:
        with _quiet_start(), suppress(ImportError):  # which the command itself will meet, and say
            from keras_actmaps import data  # noqa: F401
        command()
    except KeyboardInterrupt as interruption:
        print(f"{name}: {interruption or 'interrupted'}", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _quiet_start():
    """Nothing on stderr while TensorFlow is loaded, whose C++ part greets there whatever the log level is."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
