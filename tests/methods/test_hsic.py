"""HSIC attribution against the trace formula with full kernel matrices, and a network that reads one segment."""

import numpy as np
from helpers import linear_network
from scipy.spatial.distance import pdist

import keras_actmaps as kam
from keras_actmaps.methods.hsic import dependence, median_distance


def trace_formula(kept, scores, width):
    """tr(K_i C L C) / n^2 with the Dirac kernel of each column, as the paper writes it."""
    n = len(kept)
    centering = np.eye(n) - 1 / n
    kernel = np.exp(-((scores[:, None] - scores[None]) ** 2) / (2 * width**2))
    alike = [(column[:, None] == column[None]).astype(float) for column in kept.T]
    return np.array([np.trace(one @ centering @ kernel @ centering) / n**2 for one in alike])


def test_is_the_trace_of_kernel_matrices():
    random = np.random.default_rng(0)
    kept, scores = random.integers(0, 2, (40, 6)), random.normal(size=40)
    width = median_distance(scores)
    np.testing.assert_allclose(width, np.median(pdist(scores[:, None])), rtol=1e-12)
    np.testing.assert_allclose(dependence(kept, scores, width), trace_formula(kept, scores, width), atol=1e-12)


def test_equal_scores_depend_on_nothing():
    assert not dependence(np.eye(5), np.ones(5), median_distance(np.ones(5))).any()


def test_only_the_segment_that_the_network_reads_matters():
    images = np.random.default_rng(2).uniform(0.5, 1, (2, 6, 8, 2)).astype("float32")
    model, weights, biases = linear_network(images.shape[1:])
    weights[:3], weights[3:, 4:] = 0, 0  # the network reads the lower left quarter
    model.layers[-1].set_weights([weights.reshape(-1, weights.shape[-1]), biases])
    settings = {"samples": 200, "cells": 2}
    e = kam.explain(model, images, "hsic", targets=1, batch_size=64, **settings)
    read = e.maps[:, 3:, :4]
    others = np.ones((6, 8), bool)
    others[3:, :4] = False
    # Y takes two values, kept or not: L is 1 or exp(-1/2 (d / d)^2), and H = (1 - exp(-1/2)) / 4 at balanced halves.
    np.testing.assert_allclose(read, (1 - np.exp(-0.5)) / 4, rtol=1e-4)
    assert e.maps[:, others].max() < 0.1 * read.min()
