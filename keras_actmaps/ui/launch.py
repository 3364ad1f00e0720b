"""Starting the page: `explain.py --ui`, and `python -m keras_actmaps.ui.launch` in a container."""

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_actmaps.ui import limits
from keras_actmaps.ui.config import Config, parse

APP = Path(__file__).with_name("app.py")
PORT = 8501
OPTIONS = {  # of Streamlit; .streamlit/config.toml has the same for `streamlit run`
    "server.maxUploadSize": limits.UPLOAD_MB,
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": "true",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "theme.primaryColor": "#0072b2",
    "theme.dark.primaryColor": "#56b4e9",
}


def command(config: Config, port: int = PORT, address: str = "localhost") -> list[str]:
    """The command that serves the page.

    Parameters
    ----------
    config : Config
    port : int
    address : str
        "localhost" for this machine only; "0.0.0.0" in a container, whose own network decides who may connect.
    """
    flags = [f"--{name}={value}" for name, value in OPTIONS.items()]
    flags += [f"--server.address={address}", f"--server.port={port}"]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *flags, "--", *config.arguments]


def serve(config: Config, port: int | None = None, address: str = "localhost") -> None:
    """Serve the page until Ctrl-C; a browser opens where there is one.

    Where the system can, the server replaces this process, so that signals reach it.

    Raises
    ------
    ImportError
        If Streamlit is not installed.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise ImportError("the page needs Streamlit; install it with: pip install 'keras_actmaps[ui]'")
    path = os.pathsep.join(filter(None, [str(APP.parents[2]), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    words = command(config, PORT if port is None else port, address)
    if os.name == "posix":
        os.execve(words[0], words, environment)
    subprocess.call(words, env=environment)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page with the options of a container: `--address`, `--port` and those of the page."""
    parser = argparse.ArgumentParser(prog="python -m keras_actmaps.ui.launch", add_help=False)
    parser.add_argument("--address", default="localhost")
    parser.add_argument("--port", type=int, default=PORT)
    own, others = parser.parse_known_args(arguments)
    serve(parse(others), own.port, own.address)


if __name__ == "__main__":
    main()
