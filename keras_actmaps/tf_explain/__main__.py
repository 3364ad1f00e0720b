"""python -m keras_actmaps.tf_explain [--compatible] script.py ...: run a script written for tf-explain, unchanged."""

import runpy
import sys
from pathlib import Path

from keras_actmaps.tf_explain import activate


def main() -> None:
    arguments = sys.argv[1:]
    compatible = arguments[:1] == ["--compatible"]
    script = arguments[compatible:]
    if not script or not Path(script[0]).is_file():
        sys.exit(f"keras_actmaps.tf_explain: no script {''.join(script[:1])!r}; {__doc__}")
    activate(compatible)
    sys.argv = script
    sys.path.insert(0, str(Path(script[0]).resolve().parent))
    runpy.run_path(script[0], run_name="__main__")


main()
