"""The entry points of the commands, their exit status and their error messages."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_actmaps.cli.arguments import Parser
from keras_actmaps.cli.quiet import quiet_stderr

USER_ERRORS = (ValueError, OSError, ImportError)


def train_main(arguments: Sequence[str] | None = None) -> int:
    """Train a model: `train.py` and `actmaps-train`.

    Parameters
    ----------
    arguments : sequence of str or None
        The arguments; None uses those of the process.

    Returns
    -------
    int
        The exit status: 0; 2 for errors that the user can correct, with one line on stderr; 130 after Ctrl-C.
    """
    return run(_train, _program("train.py", arguments), arguments)


def explain_main(arguments: Sequence[str] | None = None) -> int:
    """Explain a model: `explain.py` and `actmaps-explain`. Parameters and result are those of `train_main`."""
    return run(_explain, _program("explain.py", arguments), arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m keras_actmaps train ...` and `python -m keras_actmaps explain ...`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"train": _train, "explain": _explain}
    name = "python -m keras_actmaps"

    def dispatch(name: str, arguments: Sequence[str] | None) -> None:
        first, *others = arguments or [""]
        parser = Parser(prog=name, description="Train models and explain them; each command has its own --help.")
        parser.add_argument("command", choices=list(commands))
        command = parser.parse_args([first] if first else []).command
        commands[command](f"{name} {command}", others)

    return run(dispatch, name, arguments)


def run(command: Callable[[str, Sequence[str] | None], None], name: str, arguments: Sequence[str] | None) -> int:
    """The exit status of `command(name, arguments)`; errors that the user can correct are one line on stderr."""
    try:
        command(name, arguments)
        sys.stdout.flush()
    except SystemExit as finished:  # argparse, after --help
        return finished.code if isinstance(finished.code, int) else 0
    except KeyboardInterrupt as interruption:
        print(f"{name}: {str(interruption) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except USER_ERRORS as error:
        print(f"{name}: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 2
    return 0


def _train(name: str, arguments: Sequence[str] | None) -> None:
    from keras_actmaps.cli.options import parse_train

    options = parse_train(arguments, name)
    with quiet_stderr():
        from keras_actmaps.cli import train
    train.run(options)


def _explain(name: str, arguments: Sequence[str] | None) -> None:
    from keras_actmaps.cli.options import parse_explain

    options = parse_explain(arguments, name)
    if options.ui:
        from keras_actmaps.cli import page  # no framework is imported here: the page is a process of its own

        return page.serve(options.runs, options.models, options.data_dir, options.port)
    with quiet_stderr():
        from keras_actmaps.cli import explain
    explain.run(options)


def _program(script: str, arguments: Sequence[str] | None) -> str:
    """The name in messages: of the running program, or of the script if a caller passes the arguments."""
    return script if arguments is not None else Path(sys.argv[0]).name
