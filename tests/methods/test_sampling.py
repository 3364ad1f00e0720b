"""Chunks of samples: the program makes the variants, and gets little more than the images themselves."""

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps import backend
from keras_actmaps.methods._sampling import chunk_size

SETTINGS = {  # samples per image and the settings that ask for them
    "rise": (200, {"samples": 200}),
    "occlusion": (226, {}),
    "lime": (200, {"samples": 200, "segments": "grid"}),
    "integrated_gradients": (200, {"steps": 200}),
    "idgi": (201, {"steps": 200}),
    "blur_ig": (200, {"steps": 200}),
}


@pytest.mark.parametrize("samples", [1, 2, 10, 11, 31, 50, 64, 225, 1000])
def test_chunks_are_large_and_waste_little(samples):
    for most in (1, 3, 4, 8, 32):
        size = chunk_size(samples, most)
        wasted = {other: -samples % other for other in range(1, min(most, samples) + 1)}
        assert wasted[size] <= samples / 16
        assert all(waste > samples / 16 for other, waste in wasted.items() if other > size)


@pytest.mark.parametrize("method", SETTINGS)
def test_programs_get_little_beside_the_images(method, monkeypatch):
    """NumPy arrays that are given to compiled programs stay below 4 % of the variants, the images included."""
    samples, settings = SETTINGS[method]
    images, given = np.random.default_rng(0).random((2, 64, 64, 3), "float32"), []
    model, call = gap_network((64, 64, 3)), backend.CompiledFunction.__call__

    def counted(program, *tensors):
        given.extend(tensor.nbytes for tensor in tensors if isinstance(tensor, np.ndarray))
        return call(program, *tensors)

    monkeypatch.setattr(backend.CompiledFunction, "__call__", counted)
    kam.explain(model, images, method, targets=1, **settings)
    shared = 2 * images.nbytes  # the images and the fill or baseline, sent to the device once
    assert sum(given) + shared < 0.04 * samples * images.nbytes


@pytest.mark.parametrize(
    "method", ["smoothgrad", "gradient_shap", "expected_gradients", "rise", "scorecam", "kernel_shap"]
)
def test_maps_do_not_depend_on_the_size_of_chunks(method):
    """Chunks of 1 to 30 samples, with and without padding of the last, give one map."""
    settings = {} if method == "scorecam" else {"samples": 30 if method != "kernel_shap" else 60}
    images, model = np.random.default_rng(1).random((2, 12, 16, 3), "float32"), gap_network()
    first, *others = (
        kam.explain(model, images, method, targets=1, batch_size=size, **settings).maps for size in (2, 8, 14, 64)
    )
    assert np.abs(first).max() > 0
    for other in others:
        np.testing.assert_allclose(other, first, atol=2e-5 * np.abs(first).max())
