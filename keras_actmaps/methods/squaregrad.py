"""SquareGrad: the mean squared attribution of noisy copies of an input."""

from typing import Any

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._noise import Channels, Noise, Of, Samples, moments, reduce_as, validate_noise
from keras_actmaps.methods.registry import Attribution, Method


def squaregrad(
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
    """S = mean_s M(x + e_s)^2, with e_s as in SmoothGrad (Hooker et al. 2019). Channels are reduced last."""
    _, square = moments(traced, inputs, targets, context, of, samples, noise, seed)
    return Attribution(reduce_as(square, of, channels))


METHOD = Method(
    name="squaregrad",
    function=squaregrad,
    single_pass=False,
    validate=validate_noise,
    needs=frozenset({"gradients"}),
    summary="The mean squared attribution of noisy copies of the image",
    paper="Hooker et al. 2019",
    cost="`samples` times that of the method.",
    limitations="has no sign; squaring lets a few pixels dominate.",
)
