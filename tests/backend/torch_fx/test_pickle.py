"""Traced PyTorch modules can be pickled, within a process and into another."""

import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch modules need KERAS_BACKEND=torch", allow_module_level=True)

import cloudpickle
from helpers.torch_networks import IMAGES, SHAPE, MobileNet, ResNet, randomised
from torch import nn

import keras_actmaps as kam

METHODS = ("saliency", "gradcam", "lrp")


@pytest.mark.parametrize("library", [pickle, cloudpickle])
@pytest.mark.parametrize("network", [ResNet, MobileNet])
def test_maps_after_pickling_are_the_same(network, library):
    probe = kam.Probe(randomised(network()), shape=SHAPE)
    expected = {method: kam.explain(probe, IMAGES, method) for method in METHODS}
    restored = pickle.loads(library.dumps(probe))
    assert restored.layer == probe.layer
    for method, e in expected.items():
        found = kam.explain(restored, IMAGES, method)
        np.testing.assert_array_equal(found.maps, e.maps)
        np.testing.assert_array_equal(found.scores, e.scores)


def test_the_arguments_of_the_probe_are_kept():
    probe = kam.Probe(randomised(ResNet()), ["layer1", "layer2"], shape=SHAPE, precision="bfloat16")
    restored = pickle.loads(pickle.dumps(probe))
    assert (restored.layer, restored.precision) == (["layer1.1.relu", "layer2.1.relu"], "bfloat16")
    np.testing.assert_array_equal(
        kam.explain(restored, IMAGES, "layercam").maps, kam.explain(probe, IMAGES, "layercam").maps
    )


def test_cloudpickle_takes_a_module_defined_in_a_function():
    class Local(nn.Sequential):
        pass

    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    probe = kam.Probe(randomised(Local(*layers)), shape=SHAPE)
    restored = pickle.loads(cloudpickle.dumps(probe))
    np.testing.assert_array_equal(kam.explain(restored, IMAGES).maps, kam.explain(probe, IMAGES).maps)


def test_another_process_computes_the_same_maps(tmp_path):
    probe = kam.Probe(randomised(ResNet()), shape=SHAPE)
    (tmp_path / "probe.pkl").write_bytes(pickle.dumps(probe))
    np.save(tmp_path / "images.npy", IMAGES)
    program = (
        "import pickle, numpy, keras_actmaps as kam; probe = pickle.load(open('probe.pkl', 'rb'));"
        "numpy.save('maps.npy', kam.explain(probe, numpy.load('images.npy'), 'lrp').maps)"
    )
    tests = Path(__file__).parents[2]
    environment = {"KERAS_BACKEND": "torch", "PYTHONPATH": f"{tests}:{tests.parent}"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True)
    expected = kam.explain(probe, IMAGES, "lrp").maps
    np.testing.assert_allclose(np.load(tmp_path / "maps.npy"), expected, rtol=0, atol=1e-6 * np.abs(expected).max())
