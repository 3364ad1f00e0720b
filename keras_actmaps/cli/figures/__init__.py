"""Looks inside a network, one a file: what else explain.py shows by `--method`; LOOKS names them.

A look is a function `(asked, *, setting=default, ...) -> list of the paths written`:

- asked: what explain.py was given (`Question`): the model, its probe, images, target, layer as given, the folder;
- it writes `<folder>/<its name>.png` by `render.save`, `<its name>.npz` by `explanation.save_arrays`, and nothing
  before all is computed; ValueError or OSError in one line, before any work, for what the user can mend;
- its docstring begins like a method's: "Sentence (Paper YEAR).", with lines "Cost: ..." and "Fails: ...".

Marks that asking reads: `of_images`, where it is about the images asked about, so that these are written and named
too; `needs_no_model`, where a data set alone will do.
"""

from keras_actmaps.cli.figures.ascent import ascent
from keras_actmaps.cli.figures.exemplars import exemplars
from keras_actmaps.cli.figures.feature_maps import feature_maps
from keras_actmaps.cli.figures.pooling import pooling

LOOKS = {
    "feature_maps": feature_maps,
    "pooling": pooling,
    "exemplars": exemplars,
    "ascent": ascent,
}
