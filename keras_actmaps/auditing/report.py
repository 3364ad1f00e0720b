"""The report of an audit: one HTML page with its pictures inside."""

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import Any

import numpy as np

from keras_actmaps.auditing.clusters import Cluster
from keras_actmaps.auditing.words import cells, sentence
from keras_actmaps.render.audit import cluster_figure

STYLE = (
    "body{font-family:sans-serif;margin:2em auto;max-width:72em;padding:0 1em;line-height:1.4}"
    "table{border-collapse:collapse;font-size:.85em;display:block;overflow-x:auto}"
    "th,td{padding:.3em .7em;text-align:right;border-bottom:1px solid #ccc;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}"
    ".card{border:1px solid #ccc;border-radius:.5em;padding:.5em 1em;margin:1em 0}"
    ".flagged{border:2px solid #d62728}.badge{background:#d62728;color:#fff;border-radius:.3em;padding:.1em .5em}"
    "img{max-width:100%}dt{font-weight:bold}"
)
TERMS = {
    "hot spot": "the patch, a fifth of the sides, that holds the largest part of an image's map",
    "accuracy": "share of the images whose label is the predicted class",
    "on object, at border": "mean share of the map on the object, by masks, and in the outer tenth of the image",
    "concentration": "mean share of the map in the hot spot",
    "transplant": "share of images of other classes that turn to the class when the hot spot is pasted into them",
    "control": "the same with a random patch of the same image",
    "removal": "share of the images that leave the class when the hot spot is filled from its surroundings",
    "suspicion": "max(0, transplant − control) × (1 − share on the object); flagged if its lower bound exceeds 0.2",
}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {model}</title><style>{style}</style></head><body>
<h1>Audit of {model}</h1>
<p>{images} images, maps by {method}, {clusters} clusters, {flagged} flagged. Intervals are at 95 %.</p>
<ul>{sentences}</ul>
<h2>Clusters</h2>
<table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table>
{cards}
<h2>Terms</h2>
<dl>{terms}</dl>
<p>A patch that decides the class need not be an artifact: it may be a small object. A strategy that needs more than a
patch, such as a background, is not found by this test.</p>
</body></html>
"""


def page(audit: Any) -> str:
    """The whole page, with all text escaped."""
    head, *rows = cells(audit.clusters)
    order = sorted(audit.clusters, key=lambda one: (-np.nan_to_num(one.suspicion.low), -one.size))
    return PAGE.format(
        model=escape(str(audit.about.get("model", "a model"))),
        style=STYLE,
        images=len(audit),
        method=escape(str(audit.about.get("method", ""))),
        clusters=len(audit.clusters),
        flagged=len(audit.flagged),
        sentences="".join(f"<li>{escape(line)}</li>" for line in (*audit.sentences(), *audit.remarks)),
        head="".join(f"<th>{escape(cell)}</th>" for cell in head),
        rows="\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows),
        cards="\n".join(_card(audit, cluster) for cluster in order),
        terms="".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in TERMS.items()),
    )


def _card(audit: Any, cluster: Cluster) -> str:
    badge = ' <span class="badge">flagged</span>' if cluster.flagged else ""
    data = b64encode(cluster_png(audit, cluster)).decode()
    return (
        f'<div class="card{" flagged" * cluster.flagged}"><h3>{escape(cluster.name)}{badge}</h3>'
        f"<p>{escape(sentence(cluster))}</p>"
        f'<img alt="exemplars of {escape(cluster.name)}" src="data:image/png;base64,{data}"></div>'
    )


def cluster_png(audit: Any, cluster: Cluster) -> bytes:
    """The picture of a cluster as PNG: exemplars with their hot spots, the mean map, and its images in their class."""
    scale = np.array(cluster.thumbnails.shape[1:3]) / audit.space
    size = scale * audit.patch
    boxes = [(*(scale * audit.places[image]), *size) for image in cluster.exemplars]
    titles = [f"image {image}{_label(audit, image, cluster.label)}" for image in cluster.exemplars]
    in_class = np.flatnonzero((audit.predicted == cluster.label) & (audit.numbers >= 0))
    inside = np.isin(in_class, audit.members(cluster))
    points = audit.coordinates[in_class]
    figure = cluster_figure(cluster.thumbnails, boxes, titles, cluster.mean_map, points, inside)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


def _label(audit: Any, image: int, label: int) -> str:
    """Whether an exemplar is classified wrongly, as a part of its title."""
    known = audit.labels[image]
    return f", label {known}" if known >= 0 and known != label else ""
