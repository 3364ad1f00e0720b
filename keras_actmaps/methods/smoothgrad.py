"""SmoothGrad: the mean attribution of noisy copies of an input."""

from typing import Any

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._noise import Channels, Noise, Of, Samples, moments, reduce_as, validate_noise
from keras_actmaps.methods.registry import Attribution, Method


def smoothgrad(
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
    """S = mean_s M(x + e_s), e_s from N(0, (noise * (max x - min x))^2) (Smilkov et al. 2017).

    The signed attributions of the method M are averaged, then their channels are reduced.
    """
    mean, _ = moments(traced, inputs, targets, context, of, samples, noise, seed)
    return Attribution(reduce_as(mean, of, channels))


METHOD = Method(
    name="smoothgrad",
    function=smoothgrad,
    single_pass=False,
    validate=validate_noise,
    needs=frozenset({"gradients"}),
    summary="The mean attribution of noisy copies of the image",
    paper="Smilkov et al. 2017",
    cost="`samples` times that of the method.",
    limitations="strong noise makes images unlike the training images and blurs the map.",
)
