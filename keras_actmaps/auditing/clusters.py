"""Clusters of evidence: measured, merged where their patches do the same, and judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_actmaps.auditing.intervals import UNKNOWN, Rate, difference, mean_interval, mean_rate
from keras_actmaps.auditing.observations import Observations
from keras_actmaps.auditing.spectral import NEIGHBORS, cluster_maps
from keras_actmaps.auditing.transplants import Trials
from keras_actmaps.core.types import Array

FLAGGED_ABOVE = 0.2  # the lower bound of the suspicion; honest models on X-rays reach 0.12
EXEMPLARS = 8
DEPTH = 2  # how often a flagged cluster is divided


@dataclass(frozen=True, eq=False, kw_only=True)
class Cluster:
    """A group of images of one predicted class whose maps are alike, and what its hot spots do.

    Attributes
    ----------
    label : int
        The predicted class.
    name : str
        The class and a number.
    size : int
    accuracy : float
        Share of the images whose label is the class; NaN without labels.
    on_object, at_border, concentration : float
        Mean share of the map on the object (NaN without masks), in the outer tenth, and in the hot spot.
    transplant, control : Rate
        Share of images of other classes that turn to the class with a hot spot pasted in, and with a random patch.
    removal, removal_control : Rate
        Share of the images that leave the class when the hot spot, or a random patch, is filled from its surroundings.
    rise : Rate
        How much more the hot spots raise the logit of the class than random patches do.
    suspicion : Rate
        max(0, transplant - control) * (1 - share on the object), which counts as 0 without masks.
    parts : int
        How many clusters of maps were merged into it.
    mean_map : float32 array of shape (h, w)
    exemplars : int64 array of shape (8,) or fewer
        Positions in the data set of the images whose maps are closest to the mean.
    thumbnails : float32 array of shape (8, h, w, C)
    """

    label: int
    name: str
    size: int
    accuracy: float
    on_object: float
    at_border: float
    concentration: float
    transplant: Rate
    control: Rate
    removal: Rate
    removal_control: Rate
    rise: Rate
    suspicion: Rate
    parts: int
    mean_map: Array
    exemplars: Array
    thumbnails: Array

    @property
    def flagged(self) -> bool:
        """Whether the lower bound of the suspicion exceeds 0.2."""
        return bool(self.suspicion.low > FLAGGED_ABOVE)


class Group(NamedTuple):
    """Members of a cluster, and how many clusters of maps they come from."""

    members: Array
    parts: int = 1


def find_clusters(
    observed: Observations, trials: Trials, classes: list[int], names: Callable[[int], str], seed: int
) -> tuple[list[Cluster], Array, Array]:
    """The clusters of all classes, the number of each image's cluster (-1 for none), and coordinates (N, 2)."""
    clusters: list[Cluster] = []
    numbers = np.full(len(observed.predicted), -1)
    coordinates = np.full((len(numbers), 2), np.nan)
    has_map = observed.maps.any(axis=(1, 2))
    for label in classes:
        members = np.flatnonzero((observed.predicted == label) & has_map)
        if not len(members):
            continue
        found, coordinates[members] = cluster_maps(observed.maps[members], seed)
        groups = [
            part
            for number in np.unique(found)
            for part in refine(Group(members[found == number]), observed, trials, seed)
        ]
        groups = merge(groups, observed, trials)
        groups.sort(key=lambda group: -np.nan_to_num(suspicion(group, observed, trials).value))
        for number, group in enumerate(groups, 1):
            numbers[group.members] = len(clusters)
            clusters.append(measure(group, observed, trials, label, f"{names(label)} {number}"))
    return clusters, numbers, coordinates


def refine(group: Group, observed: Observations, trials: Trials, seed: int, depth: int = DEPTH) -> list[Group]:
    """A cluster whose patches act, divided where its maps divide it into parts whose patches act differently."""
    if not depth or not suspicion(group, observed, trials).low > 0:
        return [group]
    found, _ = cluster_maps(observed.maps[group.members], seed)
    parts = merge([Group(group.members[found == number]) for number in np.unique(found)], observed, trials)
    if len(parts) == 1:
        return [group]
    return [part for one in parts for part in refine(one, observed, trials, seed, depth - 1)]


def merge(groups: list[Group], observed: Observations, trials: Trials) -> list[Group]:
    """Join clusters of a class whose patches do the same, the most similar first, until none do.

    Two clusters do the same if both are flagged or neither is, and the difference of their flip rates is not
    significant at 95 %; of clusters that are not flagged, nor is that of the rises of the logit. Clusters of at most 10
    images, for which that cannot be told, join the most similar one.
    """
    groups = list(groups)
    while len(groups) > 1:
        pairs = [(i, j) for i in range(len(groups)) for j in range(i)]
        distance, (i, j) = min((_distance(groups[i], groups[j], observed, trials), (i, j)) for i, j in pairs)
        if not distance < np.inf:
            break
        members = np.sort(np.concatenate([groups[i].members, groups[j].members]))
        joined = Group(members, groups[i].parts + groups[j].parts)
        groups = [group for number, group in enumerate(groups) if number not in (i, j)] + [joined]
    return groups


def _distance(first: Group, second: Group, observed: Observations, trials: Trials) -> float:
    """How differently the patches of two clusters act; infinite if the difference is significant."""
    own = [trials.rows(group.members) for group in (first, second)]
    rates = [mean_rate(one.flips) for one in own]
    if np.isnan([rate.value for rate in rates]).any():
        return 0.0
    change = difference(*rates)
    if min(len(first.members), len(second.members)) <= NEIGHBORS:
        return abs(change.value)
    flags = [suspicion(group, observed, trials).low > FLAGGED_ABOVE for group in (first, second)]
    if flags[0] != flags[1] or not change.low <= 0 <= change.high:
        return np.inf
    rises = [mean_interval(one.rises) for one in own]
    half = np.hypot(rises[0].high - rises[0].value, rises[1].high - rises[1].value)
    same = flags[0] or abs(rises[0].value - rises[1].value) <= half
    return abs(change.value) if same else np.inf


def suspicion(group: Group, observed: Observations, trials: Trials) -> Rate:
    """max(0, transplant - control) * (1 - share on the object), with the interval of the difference."""
    own = trials.rows(group.members)
    rate = difference(mean_rate(own.flips), mean_rate(own.control_flips))
    if np.isnan(rate.value):
        return UNKNOWN
    on_object = mean_of(observed.shares["object"][group.members])
    outside = 1.0 if np.isnan(on_object) else 1 - on_object
    return Rate(*(max(0.0, bound) * outside for bound in rate))


def measure(group: Group, observed: Observations, trials: Trials, label: int, name: str) -> Cluster:
    """The record of a cluster."""
    members, own = group.members, trials.rows(group.members)
    labels, maps = observed.labels[members], observed.maps[members]
    mean_map = maps.mean(axis=0)
    order = np.argsort(((maps - mean_map) ** 2).sum(axis=(1, 2)), kind="stable")[:EXEMPLARS]
    return Cluster(
        label=label,
        name=name,
        size=len(members),
        accuracy=float((labels == label).mean()) if (labels >= 0).any() else np.nan,
        on_object=mean_of(observed.shares["object"][members]),
        at_border=mean_of(observed.shares["border"][members]),
        concentration=mean_of(observed.shares["hot spot"][members]),
        transplant=mean_rate(own.flips),
        control=mean_rate(own.control_flips),
        removal=mean_rate(observed.leaves[members]),
        removal_control=mean_rate(observed.leaves_control[members]),
        rise=mean_interval(own.rises - own.control_rises),
        suspicion=suspicion(group, observed, trials),
        parts=group.parts,
        mean_map=mean_map,
        exemplars=members[order],
        thumbnails=observed.thumbnails[members[order]],
    )


def mean_of(values: Array) -> float:
    """The mean of the values that are not NaN; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
