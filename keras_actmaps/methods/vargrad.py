"""VarGrad: the variance of the attribution over noisy copies of an input."""

from typing import Any

import numpy as np

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._noise import Channels, Noise, Of, Samples, moments, reduce_as, validate_noise
from keras_actmaps.methods.registry import Attribution, Method


def vargrad(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    of: Of = "saliency",
    samples: Samples = 50,
    noise: Noise = 0.15,
    seed: Seed = 0,
    channels: Channels = None,
) -> Attribution:
    """S = mean_s M(x + e_s)^2 - (mean_s M(x + e_s))^2, with e_s as in SmoothGrad (Adebayo et al. 2018).

    Channels are reduced last.
    """
    mean, square = moments(traced, inputs, targets, context, of, samples, noise, seed)
    return Attribution(reduce_as(np.maximum(square - mean**2, 0), of, channels))


METHOD = Method(
    name="vargrad",
    function=vargrad,
    single_pass=False,
    validate=validate_noise,
    needs=frozenset({"gradients"}),
    summary="The variance of the attribution over noisy copies of the image",
    paper="Adebayo et al. 2018",
    cost="`samples` times that of the method.",
    limitations="has no sign; zero where the model is linear, even at pixels that matter.",
)
