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
    is_nonnegative: whether x is never negative, as behind a ReLU, so that its negative part needs no product.
    """

    x: Tensor
    w: Tensor
    b: Tensor
    y: Tensor
    low: Tensor
    high: Tensor
    is_nonnegative: bool = False

    def split(self, positive: Tensor, negative: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The pairs of inputs and kernels with one kernel for positive inputs and one for negative inputs."""
        if self.is_nonnegative:
            return [(self.x, positive)]
        return [(_plus(self.x), positive), (_minus(self.x), negative)]


@dataclass(frozen=True)
class Contributions:
    """z_ij as the sum over pairs (x, w) of x_i w_ij; the bias beside it; the share f; sum_i z_ij + b_j if known."""

    pairs: list[tuple[Tensor, Tensor]]
    bias: Tensor
    share: Any = 1.0
    outputs: Tensor | None = None


def epsilon(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """z_ij = x_i w_ij (Bach et al. 2015, eq. 58; with epsilon 0 eq. 56, LRP-0)."""
    return [Contributions([(state.x, state.w)], state.b, outputs=state.y)]


def gamma(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """Contributions with the sign of y are weighted by 1 + gamma (Montavon et al. 2019, section 10.2.1).

    Generalized to x and y of either sign.
    """

    def favor(part: Callable, other: Callable) -> tuple[list, Tensor]:
        positive = state.w + parameters.gamma * part(state.w)
        negative = state.w + parameters.gamma * other(state.w)
        return state.split(positive, negative), state.b + parameters.gamma * part(state.b)

    is_positive, is_negative = (ops.cast(sign, state.y.dtype) for sign in (state.y > 0, state.y < 0))
    (pairs, bias), (other_pairs, other_bias) = favor(_plus, _minus), favor(_minus, _plus)
    return [Contributions(pairs, bias, is_positive), Contributions(other_pairs, other_bias, is_negative)]


def z_plus(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """Positive contributions only: z_ij = max(x_i w_ij, 0) (Montavon et al. 2017, eq. 14)."""
    return [Contributions(state.split(_plus(state.w), _minus(state.w)), _plus(state.b))]


def alpha_beta(state: LayerState, parameters: Parameters) -> list[Contributions]:
    """alpha times the positive minus beta times the negative contributions (Bach et al. 2015, eq. 60)."""
    (positive,) = z_plus(state, parameters)
    negative = state.split(_minus(state.w), _plus(state.w))
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
    total: Any = 0.0
    for contributions in KERNEL_RULES[rule](state, parameters):
        inputs, kernels = (list(part) for part in zip(*contributions.pairs))

        def outputs(*inputs: Tensor, kernels: list = kernels) -> list[Tensor]:
            return [sum(linear.apply(x, kernel) for x, kernel in zip(inputs, kernels))]

        (z,), backward = backend.vjp(outputs, inputs)
        if parameters.bias:  # compilers drop the product where the outputs are known
            z = z + contributions.bias if contributions.outputs is None else contributions.outputs
        stabilizer = parameters.epsilon if rule == "epsilon" else 0.0
        parts = backward([contributions.share * ratio(relevance, z, stabilizer)])
        total = total + sum(x * part for x, part in zip(inputs, parts))
    return total


def ratio(relevance: Tensor, z: Tensor, epsilon: float) -> Tensor:
    """relevance / (z + epsilon sign(z)), sign(0) = 1; 0 where z is 0."""
    z = z + epsilon * ops.where(z < 0, -1.0, 1.0) if epsilon else z
    return ops.divide_no_nan(relevance, z)


def _plus(values: Tensor) -> Tensor:
    return ops.maximum(values, 0.0)


def _minus(values: Tensor) -> Tensor:
    return ops.minimum(values, 0.0)
