"""Drawing: maps as colors, overlays, figures and animations.

Zero means "no evidence" in every panel. An overlay divides the positive part of each map by its maximum. A raw map has
a color bar with its values, or shares its scale with the panels that it is compared with.
"""

from keras_actmaps.render.animation import check_film, film
from keras_actmaps.render.ascent import ascent_figure
from keras_actmaps.render.audit import cluster_figure
from keras_actmaps.render.cards import as_png, cards, save_png, strip
from keras_actmaps.render.channels import check_choices, feature_figure, is_constant, rank_channels
from keras_actmaps.render.colors import colorize, heatmap, normalize, overlay, palette
from keras_actmaps.render.comparison import comparison_figure
from keras_actmaps.render.cutouts import cutout
from keras_actmaps.render.exemplars import exemplar_figure
from keras_actmaps.render.figures import class_panels, contact_sheet, originals, picture
from keras_actmaps.render.images import fit, pixels, read
from keras_actmaps.render.notebook import explanation_html
from keras_actmaps.render.outlines import draw_boxes
from keras_actmaps.render.panels import save
from keras_actmaps.render.pooling import pooling_figure
from keras_actmaps.render.ranks import explanation_figure
from keras_actmaps.render.slices import explanation_film
from keras_actmaps.render.texts import TextPicture, text
from keras_actmaps.render.thumbnails import figure_pixels, input_thumbnails, map_thumbnails

# Names of earlier versions.
colour, normalise, framed, ranked = colorize, normalize, draw_boxes, rank_channels

__all__ = [
    "TextPicture",
    "as_png",
    "ascent_figure",
    "cards",
    "check_choices",
    "check_film",
    "class_panels",
    "cluster_figure",
    "colorize",
    "colour",
    "comparison_figure",
    "contact_sheet",
    "cutout",
    "draw_boxes",
    "exemplar_figure",
    "explanation_figure",
    "explanation_film",
    "explanation_html",
    "feature_figure",
    "figure_pixels",
    "film",
    "fit",
    "framed",
    "heatmap",
    "input_thumbnails",
    "is_constant",
    "map_thumbnails",
    "normalise",
    "normalize",
    "originals",
    "overlay",
    "palette",
    "picture",
    "pixels",
    "pooling_figure",
    "rank_channels",
    "ranked",
    "read",
    "save",
    "save_png",
    "strip",
    "text",
]
