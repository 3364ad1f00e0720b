"""Causal tests: the patches of images are pasted into images of other classes, beside a control."""

from typing import NamedTuple

import numpy as np

from keras_actmaps.auditing.hot_spots import paste
from keras_actmaps.auditing.observations import Judge, Observations
from keras_actmaps.core.types import Array

PER_IMAGE = 4  # hosts of each patch
AT_A_TIME = 64  # images whose transplants are in memory


class Trials(NamedTuple):
    """Transplants of images, one row each: means over the hosts, NaN where there is none.

    Attributes
    ----------
    flips, control_flips : float64 arrays of shape (N,)
        Share of the hosts that turn to the image's predicted class with its hot spot, and with its random patch.
    rises, control_rises : float64 arrays of shape (N,)
        Rise of the logit of that class.
    """

    flips: Array
    control_flips: Array
    rises: Array
    control_rises: Array

    def rows(self, which: Array) -> "Trials":
        """Those of some images."""
        return Trials(*(column[which] for column in self))


def transplant(judge: Judge, observed: Observations, classes: list[int], seed: int) -> Trials:
    """Paste both patches of each image of some predicted classes, at their places, into 4 images of other classes.

    There are no trials for images without a positive map, and none at all if only one class was predicted.
    """
    random = np.random.default_rng([seed, 2])
    columns = np.full((len(Trials._fields), len(observed.predicted)), np.nan)
    if not observed.hosts:
        return Trials(*columns)
    host_labels, hosts = (np.stack(part) for part in zip(*observed.hosts))
    scores = judge(hosts)
    has_map = observed.maps.any(axis=(1, 2))
    for label in classes:
        choices = np.flatnonzero(host_labels != label)
        members = np.flatnonzero((observed.predicted == label) & has_map)
        for start in range(0, len(members) if len(choices) else 0, AT_A_TIME):
            part = members[start : start + AT_A_TIME]
            chosen = np.stack([random.permutation(choices)[:PER_IMAGE] for _ in part])
            columns[:, part] = _paste_and_judge(judge, observed, label, part, hosts, scores, chosen)
    return Trials(*columns)


def _paste_and_judge(
    judge: Judge, observed: Observations, label: int, members: Array, hosts: Array, scores: Array, chosen: Array
) -> Array:
    """The columns (4, M) of Trials of some images of one class; chosen: numbers (M, K) of their hosts."""
    repeats = chosen.shape[1]
    probes = observed.probes.rows(np.repeat(members, repeats))
    before = scores[chosen.ravel(), label]
    results = []
    for patches, places in ((probes.patches, probes.places), (probes.other_patches, probes.other_places)):
        after = judge(paste(hosts[chosen.ravel()], patches, places))
        results.append((after.argmax(axis=1) == label, after[:, label] - before))
    (flips, rises), (control_flips, control_rises) = results
    columns = np.stack([flips, control_flips, rises, control_rises]).astype("float64")
    return columns.reshape(len(columns), len(members), repeats).mean(axis=2)
