"""Spectral clustering against dense linear algebra and scikit-learn."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from keras_actmaps.auditing.spectral import affinity, cluster_count, cluster_maps, laplacian, small_maps, spectrum


def bumps(groups, each=40, side=20, noise=0.3, seed=0):
    """Maps (N, side, side) with the sum 1: a bump at one of some places, and noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    maps = []
    for number in range(groups):
        top, left = 3 + 5 * (number % 4), 3 + 6 * (number // 4)
        for _ in range(each):
            maps.append(np.exp(-((rows - top) ** 2 + (columns - left) ** 2) / 6) + noise * random.random((side, side)))
    maps = np.array(maps, "float32")
    return maps / maps.sum(axis=(1, 2), keepdims=True), np.repeat(np.arange(groups), each)


def dense_affinity(maps, neighbors=10):
    """(A + A^T) / 2 by a full table of distances, each image its own first neighbor left out."""
    flat = maps.reshape(len(maps), -1).astype("float64")
    distances = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    graph = np.zeros((len(maps), len(maps)))
    for row, nearest in enumerate(np.argsort(distances, axis=1)[:, :neighbors]):
        graph[row, nearest] = 1
    return (graph + graph.T) / 2


@pytest.mark.parametrize(("groups", "each"), [(2, 30), (3, 90)], ids=["dense", "sparse"])
def test_affinity_laplacian_and_eigenvalues_equal_those_of_numpy(groups, each):
    maps, _ = bumps(groups, each)
    graph, expected = affinity(maps), dense_affinity(maps)
    np.testing.assert_array_equal(graph.toarray(), expected)
    degrees = expected.sum(1)
    expected = np.eye(len(maps)) - expected / np.sqrt(degrees[:, None] * degrees)
    np.testing.assert_allclose(laplacian(graph).toarray(), expected, atol=1e-12)
    found = spectrum(graph, 8)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(expected)[:8], atol=1e-8)
    np.testing.assert_allclose(expected @ found.vectors, found.vectors * found.values, atol=1e-6)


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_clusters_equal_those_of_scikit_learn_on_the_same_affinity(groups):
    maps, truth = bumps(groups)
    numbers, coordinates = cluster_maps(maps)
    expected = SpectralClustering(groups, affinity="precomputed", random_state=0).fit_predict(affinity(maps))
    assert len(set(numbers)) == groups
    assert adjusted_rand_score(numbers, expected) == 1
    assert adjusted_rand_score(numbers, truth) == 1
    assert coordinates.shape == (len(maps), 2) and np.isfinite(coordinates).all()


def test_the_number_of_clusters_is_where_the_eigenvalues_jump():
    assert cluster_count(np.array([0, 0, 0, 0.5, 0.6, 0.7])) == 3
    assert cluster_count(np.array([0, 0.4, 0.5, 0.55, 0.9, 0.95])) == 4
    assert cluster_count(np.array([0, 0.9, 0.95, 0.96])) == 2  # one is not among the choices


def test_small_maps_are_positive_and_sum_to_1_but_for_zero_maps():
    maps = np.random.default_rng(0).normal(size=(4, 60, 45)).astype("float32")
    maps[1], maps[2] = 0, -1
    found = small_maps(maps)
    assert found.shape == (4, 20, 15) and (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=(1, 2)), [1, 0, 0, 1], rtol=1e-5)
    assert small_maps(np.ones((1, 8, 12))).shape == (1, 8, 12)


def test_few_or_equal_maps_are_one_cluster():
    few, _ = bumps(2, 5)
    assert not cluster_maps(few)[0].any()
    assert not cluster_maps(np.repeat(few[:1], 30, axis=0))[0].any()
