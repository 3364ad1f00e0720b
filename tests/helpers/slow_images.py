"""Images that take a while to read, for tests of processes; importable in a worker."""

import time

import numpy as np


class SlowImages:
    """The first images of a .npy file, each after a pause."""

    def __init__(self, path, count, seconds):
        self.path, self.count, self.seconds = str(path), count, seconds

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return np.load(self.path, mmap_mode="r")[index]
