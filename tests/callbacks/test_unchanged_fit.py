"""ExplainCallback leaves the fit as it is: bit for bit, compiled once, and with two replicas."""

import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import BACKEND, traced
from helpers.fits import compiled, fit, is_same, make_callback, network, state

from keras_actmaps.core.cache import as_traced

METHODS = {  # one pass, one pass at the input, many passes, random numbers
    "gradcam": {"metrics": ["average_drop", "energy_pointing"]},
    "saliency": {"targets": None, "metrics": []},
    "occlusion": {"patch": 6, "stride": 6},
    "smoothgrad": {"samples": 2},
}
CASES = [
    ("plain", 1, {}),
    ("plain", "3 batches", {}),
    ("xla", 1, {"jit_compile": True}),
    ("eager", "3 batches", {"run_eagerly": True}),
    ("float16", 1, {}),
]


@pytest.fixture
def _half_precision(request):
    """The dtype policy that the case of the test needs."""
    if request.node.callspec.params["case"] == "float16":
        keras.config.set_dtype_policy("mixed_bfloat16" if BACKEND == "torch" else "mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("_half_precision")
@pytest.mark.parametrize("case, every, settings", CASES)
def test_a_fit_is_bit_for_bit_the_same_with_and_without_callbacks(case, every, settings, data, tmp_path):
    if case == "xla" and BACKEND == "torch":
        pytest.skip("PyTorch has no XLA")
    methods = METHODS if case == "plain" else ["gradcam", "smoothgrad"]
    callbacks = [
        make_callback(data, tmp_path / name, name, every=every, **{"targets": "labels", **METHODS[name]})
        for name in methods
    ]
    results = []
    for used in ([], callbacks):
        model = compiled(network(), **settings)
        history = fit(model, data, *used, epochs=2, validation_data=(data[0][:8], data[1][:8])).history
        own = {name: values for name, values in history.items() if not name.startswith(tuple(METHODS))}
        drawn = np.random.get_state()[1].tolist(), random.getstate()
        results.append((state(model), own, drawn, model.layers[4].counts[True]))
    assert [callback.turns for callback in callbacks] == [[1, 2] if every == 1 else [3, 6]] * len(callbacks)
    assert not any(callback.failures for callback in callbacks)
    (weights, *without), (others, *with_callbacks) = results
    assert is_same(weights, others) and without == with_callbacks
    assert sum(np.abs(one).sum() for one in weights) > 1


@traced
def test_nothing_is_compiled_again_from_epoch_to_epoch(data, tmp_path):
    traces = []  # programs of the traced model, and how often Python has called a layer
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: traces.append((as_traced(model).traces, *model.layers[4].counts.values()))
    )
    model = compiled(network())
    callbacks = [make_callback(data, tmp_path / name, name, targets="labels") for name in ("gradcam", "occlusion")]
    fit(model, data, *callbacks, count, epochs=4)
    assert min(traces[0]) > 0 and len(set(traces)) == 1


MIRRORED = """
import sys
from pathlib import Path
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from helpers import fits
data = fits.make_data()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
states, copies, folder = [], fits.WeightCopies(), Path(sys.argv[1])
for callbacks in ([], [fits.make_callback(data, folder, targets="labels"), copies]):
    with strategy.scope():
        model = fits.compiled(fits.network())
    fits.fit(model, data, *callbacks)
    states.append(fits.state(model))
assert strategy.num_replicas_in_sync == 2 and fits.is_same(*states) and not callbacks[0].failures, callbacks[0].failures
for number, weights in enumerate(copies.epochs, 1):
    expected = fits.expected_gradcam(weights, data[0][:5], data[1][:5])
    np.testing.assert_allclose(fits.load(folder, number).maps, expected, atol=1e-6)
print("the same")
"""


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a strategy of TensorFlow")
def test_two_replicas_of_a_mirrored_strategy(tmp_path):
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.strip().endswith("the same"), done.stderr[-2000:]
