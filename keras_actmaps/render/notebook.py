"""What a notebook displays of an explanation: a few words and the first maps."""

from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.summary import few, summary
from keras_actmaps.render.colors import map_norm
from keras_actmaps.render.columns import columns
from keras_actmaps.render.panels import add_colorbar
from keras_actmaps.render.ranks import draw_map

MOST = 4  # maps side by side, and inputs or targets below each other


def explanation_html(explanation: Explanation) -> str:
    """A table of words on the explanation, and a picture of its first four maps, as HTML with escaped text."""
    words = summary(explanation) | {"scores": few(explanation.scores)}
    if explanation.residual is not None:
        words["residual"] = few(explanation.residual)
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in words.items())
    try:
        picture = f'<img alt="maps" src="data:image/png;base64,{b64encode(_png(explanation)).decode()}">'
    except ValueError as error:
        picture = f"<p>{escape(str(error))}</p>"
    return f"<div><table>{rows}</table>{picture}</div>"


def _png(explanation: Explanation) -> bytes:
    """The first maps as a small PNG; ValueError if they cannot be drawn."""
    found, count = columns(explanation, None, "mean", MOST)[:MOST], min(len(explanation), MOST)
    if not count or not all(np.isfinite(column.maps).all() for column in found):
        raise ValueError("no maps" if not count else "the maps contain NaN or Inf")
    figure = Figure(figsize=(2.4 * count, 2 * len(found)), layout="constrained", dpi=72)
    for column, panels in zip(found, figure.subplots(len(found), count, squeeze=False)):
        for row, panel in enumerate(panels):
            norm = map_norm(column.maps[row], column.maps)
            draw_map([panel], column, row, f"{row}{column.title}", norm, "turbo")
            add_colorbar(figure, panel, norm, column.maps[row], "turbo", 0.046)
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
