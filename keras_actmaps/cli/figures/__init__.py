"""Figures of features for `explain.py --method`, one per module. FIGURES is the table of their records."""

from keras_actmaps.cli.figures import ascent, exemplars, feature_maps, pooling
from keras_actmaps.cli.figures.registry import Figure

FIGURES: dict[str, Figure] = {
    module.FIGURE.name: module.FIGURE for module in (feature_maps, pooling, exemplars, ascent)
}  # documentation lists them in this order

__all__ = ["FIGURES", "Figure"]
