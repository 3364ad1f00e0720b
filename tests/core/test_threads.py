"""Threads: the maps of 8 threads on one model equal those computed one after another."""

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from helpers import BACKEND, gap_network, randomised
from keras import layers

import keras_actmaps as kam

THREADS = 8
SETTINGS: dict[str, dict[str, Any]] = {
    "saliency": {},
    "gradcam": {},
    "lrp": {},
    "guided_backprop": {},
    "integrated_gradients": {"steps": 4},
    "deeplift": {},
    "occlusion": {"patch": 6},
}


def score_difference(outputs: Any) -> Any:
    return outputs[:, 1] - outputs[:, 0]


JOBS = [
    *itertools.product(SETTINGS, (None, 0, 2)),
    *itertools.product(("saliency", "gradcam", "lrp"), ([[0, 1]] * 3, score_difference)),
]


def residual_network() -> keras.Model:
    """Batch normalization, a residual and activations inside layers, nested in another model."""
    inputs = keras.Input((20, 28, 6))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs))
    inner = keras.Model(inputs, layers.ReLU()(layers.Add()([inputs, x])), name="block")
    inputs = keras.Input((20, 28, 3))
    x = inner(layers.Conv2D(6, 3, padding="same", activation="relu")(inputs))
    outputs = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return randomised(keras.Model(inputs, outputs, name="residual_network"))


def torch_network() -> Any:
    from helpers import torch_networks

    return torch_networks.randomised(torch_networks.ResNet())


MODELS: dict[str, Callable[[], Any]] = {
    "gap_network": partial(gap_network, (20, 28, 3), activation="softmax"),
    "residual_network": residual_network,
    **({"torch_network": torch_network} if BACKEND == "torch" else {}),
}


def inputs_of(name: str) -> np.ndarray:
    images = np.random.default_rng(0).random((3, 20, 28, 3), "float32")
    return np.moveaxis(images, -1, 1) if name == "torch_network" else images


def maps_of(model: Any, name: str, method: str, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    explanation = kam.explain(model, inputs_of(name), method, targets, **SETTINGS[method])
    return explanation.maps, explanation.scores


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Let Python switch threads often, so that races show up."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(scope="module")
def expected() -> dict:
    """The maps and scores of each job, computed one after another on models of the same weights."""
    models = {name: make() for name, make in MODELS.items()}
    return {(name, *index): maps_of(models[name], name, *JOBS[index[0]]) for name, *index in jobs_of(models)}


def jobs_of(names: Any) -> list[tuple[str, int]]:
    return [(name, index) for index in range(len(JOBS)) for name in names]


def check(found: tuple, wanted: tuple) -> None:
    for part, truth in zip(found, wanted):
        np.testing.assert_allclose(part, truth, rtol=0, atol=1e-6 * np.abs(truth).max())


def run_in_threads(work: Callable, jobs: list) -> list:
    """The results of the jobs by threads that start at the same time."""
    barrier = threading.Barrier(THREADS)
    with ThreadPoolExecutor(THREADS, initializer=barrier.wait, initargs=(60,)) as pool:
        return list(pool.map(work, jobs))


@pytest.mark.parametrize("name", MODELS)
def test_threads_on_one_new_model_give_the_right_maps(name: str, expected: dict) -> None:
    """Nothing has been traced or compiled before the threads start; the residual network is traced as a Probe."""
    model = MODELS[name]()
    model = kam.Probe(model) if name == "residual_network" else model
    jobs = jobs_of([name])
    order = np.random.default_rng(1).permutation(len(jobs))
    found = run_in_threads(lambda k: maps_of(model, name, *JOBS[jobs[k][1]]), list(order))
    for k, maps in zip(order, found):
        check(maps, expected[jobs[k]])


def test_models_can_be_traced_while_other_threads_run(expected: dict) -> None:
    """Half of the saliency maps are those of new models, with a Probe and without."""
    models = {name: make() for name, make in MODELS.items()}
    jobs = jobs_of(MODELS) * 2
    order = list(np.random.default_rng(2).permutation(len(jobs)))

    def work(k: int) -> tuple:
        name, index = jobs[k]
        model = models[name]
        if JOBS[index][0] == "saliency" and k < len(jobs) // 2:
            model = MODELS[name]()
            model = kam.Probe(model, shape=inputs_of(name).shape[1:]) if k % 3 else model
        return maps_of(model, name, *JOBS[index])

    for k, maps in zip(order, run_in_threads(work, order)):
        check(maps, expected[jobs[k]])
