"""Explain a trained model: python explain.py --method gradcam. Writes pictures and raw maps to outputs/."""

import sys

from keras_actmaps.cli.main import explain_main

if __name__ == "__main__":
    sys.exit(explain_main())
