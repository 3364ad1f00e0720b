"""The commands train.py and explain.py."""
