"""Spectral clustering of relevance maps, as in spectral relevance analysis (Lapuschkin et al. 2019)."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from keras_actmaps.core.optional import require_sklearn
from keras_actmaps.core.types import Array

SIDE = 20  # of a small map, for its longer side
NEIGHBORS = 10
MOST_CLUSTERS = 10
DENSE = 200  # up to so many images all eigenvectors are computed, which is exact for repeated eigenvalues


class Spectrum(NamedTuple):
    """The smallest eigenvalues (m,) of the normalized Laplacian, ascending, and their eigenvectors (N, m)."""

    values: Array
    vectors: Array


def small_maps(maps: Array) -> Array:
    """Maps (N, H, W) as their positive parts, blurred, at most 20 x 20, each with the sum 1; a zero map stays zero."""
    height, width = maps.shape[1:]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.empty((len(maps), size[1], size[0]), "float32")
    for number, values in enumerate(np.maximum(maps, 0)):
        blurred = cv2.GaussianBlur(values, (0, 0), max(height, width) / (2 * SIDE), borderType=cv2.BORDER_REFLECT)
        small[number] = cv2.resize(blurred, size, interpolation=cv2.INTER_AREA)
    sums = small.sum(axis=(1, 2), keepdims=True)
    return small / np.where(sums > 0, sums, 1)


def affinity(maps: Array, neighbors: int = NEIGHBORS) -> Any:
    """The symmetric graph (A + A^T) / 2 of the nearest maps (N, ...) in Euclidean distance, as a sparse matrix.

    A_ij is 1 if j is one of the `neighbors` of i; raises ImportError without scikit-learn.
    """
    graph = require_sklearn("neighbors").kneighbors_graph(maps.reshape(len(maps), -1), neighbors, mode="connectivity")
    return (graph + graph.T) / 2


def laplacian(graph: Any) -> Any:
    """I - D^-1/2 A D^-1/2 of a symmetric affinity A, as a sparse matrix."""
    scale = sparse.diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    return sparse.identity(graph.shape[0], format="csr") - scale @ graph @ scale


def spectrum(graph: Any, count: int = MOST_CLUSTERS + 1, seed: int = 0) -> Spectrum:
    """The `count` smallest eigenvalues of the normalized Laplacian of an affinity, and their eigenvectors."""
    matrix, images = laplacian(graph), graph.shape[0]
    if images <= max(DENSE, count + 1):
        values, vectors = np.linalg.eigh(matrix.toarray())
        return Spectrum(values[:count], vectors[:, :count])
    start = np.random.default_rng(seed).normal(size=images)
    # The largest eigenvalues of 2 I - L are found much faster than the smallest of L.
    values, vectors = eigsh(2 * sparse.identity(images) - matrix, count, which="LA", v0=start)
    order = np.argsort(-values)
    return Spectrum(2 - values[order], vectors[:, order])


def cluster_count(values: Array) -> int:
    """The k >= 2 with the largest gap between the k-th eigenvalue and the next one (von Luxburg 2007, section 8.3)."""
    return 2 + int(np.argmax(np.diff(values)[1:]))


def cluster_maps(maps: Array, seed: int = 0) -> tuple[Array, Array]:
    """Clusters of maps with the sum 1.

    Parameters
    ----------
    maps : array of shape (N, h, w)
    seed : int
        Of k-means.

    Returns
    -------
    int64 array of shape (N,)
        Cluster numbers 0 .. k - 1, with k from 2 to 10 by the gap of the eigenvalues. All 0 for at most as many images
        as neighbors, and for maps that are all equal.
    float64 array of shape (N, 2)
        Coordinates for a picture: the second and third eigenvector, divided by the root of the degree.
    """
    flat = maps.reshape(len(maps), -1)
    if len(maps) <= NEIGHBORS or not np.ptp(flat, axis=0).any():
        return np.zeros(len(maps), "int64"), np.zeros((len(maps), 2))
    graph = affinity(maps)
    found = spectrum(graph, min(MOST_CLUSTERS + 1, len(maps)), seed)
    count = cluster_count(found.values)
    rows = found.vectors[:, :count]
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    kmeans = require_sklearn("cluster").KMeans(count, n_init=10, random_state=seed)
    numbers = kmeans.fit_predict(rows / np.where(norms > 0, norms, 1))
    degrees = np.asarray(graph.sum(axis=1))
    return numbers.astype("int64"), found.vectors[:, 1:3] / np.sqrt(degrees.reshape(-1, 1))
