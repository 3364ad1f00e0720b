"""The only room that draws: maps become colours, overlays and figures. Zero means the same in every panel: nothing.

An overlay divides what speaks for the target by its maximum, image by image. A raw map has a colour bar in its own
numbers, or shares one scale with the panels that it is compared with.
"""

from keras_actmaps.render.colours import colour, heatmap, normalise, overlay, palette
from keras_actmaps.render.figures import class_panels, contact_sheet, originals, picture, save
from keras_actmaps.render.images import fit, pixels, read
