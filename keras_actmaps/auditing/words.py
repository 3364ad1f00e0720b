"""What an audit found, in sentences."""

from collections.abc import Iterable, Iterator

import numpy as np

from keras_actmaps.auditing.clusters import Cluster
from keras_actmaps.auditing.intervals import Rate

COLUMNS = (
    *("cluster", "images", "accuracy", "on object", "at border", "concentration"),
    *("transplant", "control", "removal", "removal control", "suspicion", ""),
)


def cells(clusters: Iterable[Cluster]) -> Iterator[tuple[str, ...]]:
    """The header and a row for each cluster, as text."""
    yield COLUMNS
    for one in clusters:
        shares = (one.accuracy, one.on_object, one.at_border, one.concentration)
        rates = (one.transplant, one.control, one.removal, one.removal_control, one.suspicion)
        texts = ["-" if np.isnan(share) else f"{share:.2f}" for share in shares]
        yield (one.name, str(one.size), *texts, *map(str, rates), "FLAGGED" if one.flagged else "")


def sentence(cluster: Cluster) -> str:
    """What was found about a cluster, and how sure it is."""
    count = f"{cluster.size} image{'s' * (cluster.size != 1)}"
    if np.isnan(cluster.transplant.value):
        return f"{cluster.name} ({count}): not tested, because no image was predicted as another class."
    turned = (
        f"their hot spots, pasted into images of other classes, turn {percent(cluster.transplant)} of them to the "
        f"class; random patches of the same images turn {percent(cluster.control)}"
    )
    removed = f"filling the hot spot makes {percent(cluster.removal)} leave the class"
    where = "" if np.isnan(cluster.on_object) else f" {cluster.on_object:.0%} of the map lies on the object."
    verdict = "The class follows from a small patch alone." if cluster.flagged else "No small patch decides the class."
    return f"{cluster.name} ({count}): {turned}; {removed}.{where} {verdict}"


def percent(rate: Rate) -> str:
    """A rate with its interval in percent."""
    return f"{rate.value:.0%} (95 % interval {rate.low:.0%} to {rate.high:.0%})"
