"""Keras callbacks that explain a model while it is trained."""
