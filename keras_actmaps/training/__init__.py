"""Training with the protocol of each data set, and the run folders that it writes.

`training.train.train` trains; `training.runs` opens what it wrote.
"""
