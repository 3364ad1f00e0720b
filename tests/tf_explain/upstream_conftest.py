"""Becomes the conftest.py of tf-explain's own tests: `activate()` applies while they are imported and run."""

import numpy as np
import pytest
import tensorflow as tf
import tf_explain

from keras_actmaps.tf_explain import activate, deactivate


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    activate()
    try:
        return (yield)
    finally:
        deactivate()


@pytest.fixture(autouse=True)
def _our_classes():
    activate()
    assert tf_explain.core.GradCAM.__module__ == "keras_actmaps.tf_explain.core.grad_cam"
    yield
    deactivate()


@pytest.fixture(autouse=True, scope="session")
def _mnist():
    """Noise with labels in the form of MNIST, which the integration tests would download."""

    def load_data():
        rng = np.random.default_rng(0)
        return [(rng.integers(0, 256, (count, 28, 28), "uint8"), np.arange(count) % 10) for count in (40, 20)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.keras.datasets.mnist, "load_data", load_data)
        yield
