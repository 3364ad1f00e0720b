"""Run a script that was written for tf-explain: python -m keras_actmaps.tf_explain [--compatible] script.py ..."""

import runpy
import sys
from pathlib import Path

from keras_actmaps.tf_explain import activate

USAGE = "usage: python -m keras_actmaps.tf_explain [--compatible] script.py [its arguments]"


def main() -> None:
    """Run the script of the command line with this package's classes."""
    arguments = sys.argv[1:]
    compatible = arguments[:1] == ["--compatible"]
    script = arguments[compatible:]
    if not script or not Path(script[0]).is_file():
        sys.exit(f"keras_actmaps.tf_explain: script {''.join(script[:1])!r} does not exist; {USAGE}")
    activate(compatible)
    sys.argv = script
    sys.path.insert(0, str(Path(script[0]).resolve().parent))
    runpy.run_path(script[0], run_name="__main__")


main()
