"""tf-explain's own tests, unchanged, against our classes: `activate()` holds while they are imported and run."""

import numpy as np
import pytest
import tensorflow as tf

from keras_actmaps.tf_explain import activate, deactivate


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    activate()
    try:
        return (yield)
    finally:
        deactivate()


@pytest.fixture(autouse=True)
def ours():
    activate()
    yield
    deactivate()


@pytest.fixture(autouse=True, scope="session")
def mnist():
    """Noise with labels in the form of MNIST, which the integration tests would download."""

    def load_data():
        random = np.random.default_rng(0)
        return [(random.integers(0, 256, (count, 28, 28), "uint8"), np.arange(count) % 10) for count in (40, 20)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.keras.datasets.mnist, "load_data", load_data)
        yield
