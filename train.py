"""Train a model on a data set: python train.py [--dataset NAME]. Writes runs/<dataset>/."""

import sys

from keras_actmaps.cli.main import train_main

if __name__ == "__main__":
    sys.exit(train_main())
