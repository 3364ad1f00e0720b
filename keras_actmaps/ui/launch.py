"""Starting the page: Streamlit in a process of its own, on this machine only."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from keras_actmaps.ui import limits
from keras_actmaps.ui.config import Config

APP = Path(__file__).with_name("app.py")
PORT = 8501


def command(config: Config, port: int = PORT, address: str = "localhost") -> list[str]:
    """The command that serves the page.

    Parameters
    ----------
    config : Config
    port : int
    address : str
        "localhost" for this machine only; "0.0.0.0" in a container, whose own network decides who may connect.
    """
    options: dict[str, object] = {
        **{"server.address": address, "server.port": port, "server.maxUploadSize": limits.UPLOAD_MB},
        **{"server.fileWatcherType": "none", "browser.gatherUsageStats": "false", "client.toolbarMode": "viewer"},
        **{"client.showErrorDetails": "none", "server.enableXsrfProtection": "true"},
        **{"theme.primaryColor": "#0072b2", "theme.dark.primaryColor": "#56b4e9"},
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *flags, "--", *config.arguments]


def serve(config: Config, port: int | None = None) -> None:
    """Serve the page until Ctrl-C; a browser opens where there is one.

    Raises
    ------
    ImportError
        If Streamlit is not installed.
    OSError
        If the server stops by itself, for example because the port is in use.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise ImportError("the page needs Streamlit; install it with: pip install 'keras_actmaps[ui]'")
    root = str(APP.parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    status = subprocess.call(command(config, PORT if port is None else port), env=os.environ | {"PYTHONPATH": path})
    if status not in (0, 130, -2):
        raise OSError(f"the page stopped with status {status}")
