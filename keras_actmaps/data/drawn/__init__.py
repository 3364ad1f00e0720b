"""The tiles of `drawn-grid`: garments and handwritten digits, 28x28 in gray, drawn without any download."""

from keras_actmaps.data.drawn.digits import draw_digit, draw_digits
from keras_actmaps.data.drawn.garments import GARMENTS, draw_garment, draw_garments
