"""`python -m keras_actmaps train ...` and `python -m keras_actmaps explain ...`."""

import sys

from keras_actmaps.cli.main import main

sys.exit(main())
