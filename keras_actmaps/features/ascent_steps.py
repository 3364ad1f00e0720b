"""Steps of gradient ascent on the parameters of images, as one compiled program."""

from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attribution import pick
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.features.objectives import Level, activations
from keras_actmaps.features.parametrization import decode, total_variation_gradient, transform
from keras_actmaps.features.settings import AscentSettings

BETA_1, BETA_2 = 0.9, 0.999  # of Adam


def advance(
    traced: TracedModel,
    level: Level,
    settings: AscentSettings,
    base: Tensor,
    indices: Tensor,
    schedule: Tensor,
    first: Tensor,
    steps: Tensor,
    *state: Tensor,
) -> tuple[Tensor, ...]:
    """The state after `steps` more steps of Adam, the images and their scores.

    state: the values (K, C, H, W) that are optimized and the two moving averages of their gradients.
    """

    def image_gradient(images: Tensor, transformation: list[Tensor]) -> Tensor:
        def objective(images: Tensor) -> tuple[Tensor, None]:
            return _objective(traced, level, settings, transform(images, *transformation), indices), None

        return _regularized(backend.gradients(objective, [images])[0][0], images, settings)

    def step(number: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        values, mean, square = state
        (images,), pull_back = backend.vjp(lambda values: [decode_values(values)], [values])
        *transformation, rate = ops.unstack(schedule[number])
        (gradient,) = pull_back([image_gradient(images, transformation)])
        mean = BETA_1 * mean + (1 - BETA_1) * gradient
        square = BETA_2 * square + (1 - BETA_2) * gradient**2
        t = ops.cast(first + number + 1, "float32")
        update = mean / (1 - BETA_1**t) / (ops.sqrt(square / (1 - BETA_2**t)) + 1e-8)
        return values + rate * update, mean, square

    def decode_values(values: Tensor) -> Tensor:
        return decode(values, base, settings.bounds, settings.parametrisation)

    state = ops.fori_loop(0, steps, step, tuple(state))
    images = decode_values(state[0])
    scores = pick(activations(traced, images, level), indices)
    return *state, images, scores


def _objective(traced: TracedModel, level: Level, settings: AscentSettings, images: Tensor, indices: Tensor) -> Tensor:
    """The scores (K,) of the images, with the weighted log-probability for a class."""
    values = activations(traced, images, level)
    scores = pick(values, indices)
    if level != "class":
        return scores
    return scores + settings.certainty * (scores - ops.logsumexp(values, axis=1))


def _regularized(gradient: Tensor, images: Tensor, settings: AscentSettings) -> Tensor:
    """The gradient of the score at the images, normalized, minus the gradients of the penalties."""
    power = ops.mean(gradient**2, axis=(1, 2, 3), keepdims=True)
    gradient = gradient / ops.sqrt(ops.maximum(power, 1e-30))
    low, high = settings.bounds
    if settings.l2:
        gradient = gradient - 2 * settings.l2 * (images - (low + high) / 2) / (high - low)
    if settings.variation:
        gradient = gradient - settings.variation * total_variation_gradient(images / (high - low))
    return gradient
