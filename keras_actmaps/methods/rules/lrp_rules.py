"""The rules of layer-wise relevance propagation for layers with a kernel.

R_i = sum_j f_j z_ij / (sum_i z_ij + b_j) R_j, where a rule defines the contributions z_ij = x_i w_ij, the bias b_j and
the share f_j: as one or more `Contributions`, whose relevances add up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.types import Tensor


@dataclass(frozen=True)
class Parameters:
    """Parameters of the rules. bias: whether biases absorb a share of the relevance."""

    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 2.0
    beta: float = 1.0
    bias: bool = True


@dataclass(frozen=True)
class LayerState:
    """A layer in a forward pass.

    x, w, b, y: inputs, kernel, bias and outputs. low, high: the least and greatest values that x can have.
    """

    x: Tensor
    w: Tensor
    b: Tensor
    y: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Contributions:
    """z_ij as the sum over pairs (x, w) of x_i w_ij; the bias beside it; the share f of the relevance."""

    pairs: list[tuple[Tensor, Tensor]]
    bias: Tensor
    share: Any = 1.0


def epsilon(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """z_ij = x_i w_ij (Bach et al. 2015, eq. 58; with epsilon 0 eq. 56, LRP-0)."""
    return [Contributions([(state.x, state.w)], state.b)]


def gamma(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """Contributions with the sign of y are weighted by 1 + gamma (Montavon et al. 2019, section 10.2.1).

    Generalized to x and y of either sign.
    """

    def favor(part: Callable, other: Callable) -> tuple[list, Tensor]:
        positive = state.w + parameters.gamma * part(state.w)
        negative = state.w + parameters.gamma * other(state.w)
        pairs = [(_plus(state.x), positive), (_minus(state.x), negative)]
        return pairs, state.b + parameters.gamma * part(state.b)

    is_positive, is_negative = (ops.cast(sign, state.y.dtype) for sign in (state.y > 0, state.y < 0))
    (pairs, bias), (other_pairs, other_bias) = favor(_plus, _minus), favor(_minus, _plus)
    return [Contributions(pairs, bias, is_positive), Contributions(other_pairs, other_bias, is_negative)]


def z_plus(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """Positive contributions only: z_ij = max(x_i w_ij, 0) (Montavon et al. 2017, eq. 14)."""
    pairs = [(_plus(state.x), _plus(state.w)), (_minus(state.x), _minus(state.w))]
    return [Contributions(pairs, _plus(state.b))]


def alpha_beta(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """alpha times the positive minus beta times the negative contributions (Bach et al. 2015, eq. 60)."""
    (positive,) = z_plus(state, parameters)
    negative = [(_plus(state.x), _minus(state.w)), (_minus(state.x), _plus(state.w))]
    return [
        Contributions(positive.pairs, positive.bias, parameters.alpha),
        Contributions(negative, _minus(state.b), -parameters.beta),
    ]


def flat(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """The same contribution of all inputs: z_ij = 1 (Lapuschkin et al. 2019)."""
    return [Contributions([(ops.ones_like(state.x), ops.ones_like(state.w))], ops.zeros_like(state.b))]


def w_square(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """Squared weights: z_ij = w_ij^2 (Montavon et al. 2017, eq. 12)."""
    return [Contributions([(ops.ones_like(state.x), state.w * state.w)], state.b * state.b)]


def z_box(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """z_ij = x_i w_ij - low max(w_ij, 0) - high min(w_ij, 0) (Montavon et al. 2017, eq. 16); the biases cancel."""
    pairs = [(state.x, state.w), (state.low, -_plus(state.w)), (state.high, -_minus(state.w))]
    return [Contributions(pairs, ops.zeros_like(state.b))]


KERNEL_RULES = {
    "0": epsilon,
    "epsilon": epsilon,
    "gamma": gamma,
    "alpha-beta": alpha_beta,
    "z+": z_plus,
    "flat": flat,
    "w²": w_square,
    "w^2": w_square,  # ASCII alias
    "zB": z_box,
}


def propagate(linear: Linear, state: LayerState, relevance: Tensor, rule: str, parameters: Parameters) -> Tensor:
    """The relevance of the inputs of a `Linear`, from that of its outputs, by a rule."""
    total = ops.zeros_like(state.x)
    for contributions in KERNEL_RULES[rule](state, parameters):
        inputs, kernels = (list(part) for part in zip(*contributions.pairs))

        def outputs(*inputs: Tensor, kernels: list = kernels) -> list[Tensor]:
            return [sum(linear.apply(x, kernel) for x, kernel in zip(inputs, kernels))]

        (z,), backward = backend.vjp(outputs, inputs)
        z = z + contributions.bias if parameters.bias else z
        stabilizer = parameters.epsilon if rule == "epsilon" else 0.0
        parts = backward([contributions.share * ratio(relevance, z, stabilizer)])
        total = total + sum(x * part for x, part in zip(inputs, parts))
    return total


def ratio(relevance: Tensor, z: Tensor, epsilon: float) -> Tensor:
    """relevance / (z + epsilon sign(z)), sign(0) = 1; 0 where z is 0."""
    z = z + epsilon * ops.where(z < 0, -1.0, 1.0)
    return ops.where(z == 0, 0.0, relevance / ops.where(z == 0, 1.0, z))


def _plus(values: Tensor) -> Tensor:
    return ops.maximum(values, 0.0)


def _minus(values: Tensor) -> Tensor:
    return ops.minimum(values, 0.0)
