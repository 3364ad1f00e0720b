"""The only room that draws: maps become colours, overlays and figures. Zero means the same in every panel: nothing.

An overlay divides what speaks for the target by its maximum, image by image. A raw map has a colour bar in its own
numbers, or shares one scale with the panels that it is compared with.
"""

from keras_actmaps.render.ascent import ascent_figure, check_film, film
from keras_actmaps.render.boxes import framed
from keras_actmaps.render.cards import as_png, cards, save_png, strip
from keras_actmaps.render.channels import check_choices, feature_figure, is_constant, pooling_figure, ranked
from keras_actmaps.render.colors import colour, heatmap, normalise, overlay, palette
from keras_actmaps.render.comparison import comparison_figure
from keras_actmaps.render.exemplars import exemplar_figure
from keras_actmaps.render.figures import class_panels, contact_sheet, originals, picture, save
from keras_actmaps.render.images import fit, pixels, read
