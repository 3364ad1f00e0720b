"""The rules of layer-wise relevance propagation for layers with a kernel, each as what it lets speak for the outputs.

R_i = sum_j f_j z_ij / (sum_i z_ij + b_j) R_j, where a rule says what stands for the contributions z_ij = x_i w_ij, the
bias b_j and the share f_j: in one or more `Terms`, whose relevances add up.
"""

from dataclasses import dataclass

from keras import ops

from keras_actmaps import engine


@dataclass(frozen=True)
class Numbers:
    """The numbers in the rules. bias: whether biases take their share of the relevance."""

    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 2.0
    beta: float = 1.0
    bias: bool = True


@dataclass(frozen=True)
class At:
    """A layer at work: inputs x, kernel w, bias b, outputs y, and the least and greatest values x can have."""

    x: object
    w: object
    b: object
    y: object
    low: object
    high: object


@dataclass(frozen=True)
class Terms:
    """z_ij as the sum over pairs (x, w) of x_i w_ij; the bias beside it; the share f of the relevance."""

    pairs: list
    bias: object
    share: object = 1.0


def epsilon(at: At, numbers: Numbers) -> list[Terms]:
    """What there is: z_ij = x_i w_ij (Bach et al. 2015, eq. 58; with epsilon 0 eq. 56, LRP-0)."""
    return [Terms([(at.x, at.w)], at.b)]


def gamma(at: At, numbers: Numbers) -> list[Terms]:
    """What speaks for y counts 1 + gamma times (Montavon et al. 2019, section 10.2.1; for x and y of either sign)."""

    def favour(part, other):
        pairs = [(_plus(at.x), at.w + numbers.gamma * part(at.w)), (_minus(at.x), at.w + numbers.gamma * other(at.w))]
        return pairs, at.b + numbers.gamma * part(at.b)

    is_positive, is_negative = ops.cast(at.y > 0, at.y.dtype), ops.cast(at.y < 0, at.y.dtype)
    return [Terms(*favour(_plus, _minus), is_positive), Terms(*favour(_minus, _plus), is_negative)]


def z_plus(at: At, numbers: Numbers) -> list[Terms]:
    """Only what speaks for: z_ij = max(x_i w_ij, 0) (Montavon et al. 2017, eq. 14)."""
    return [Terms([(_plus(at.x), _plus(at.w)), (_minus(at.x), _minus(at.w))], _plus(at.b))]


def alpha_beta(at: At, numbers: Numbers) -> list[Terms]:
    """alpha times what speaks for minus beta times what speaks against (Bach et al. 2015, eq. 60)."""
    (speaks_for,) = z_plus(at, numbers)
    against = [(_plus(at.x), _minus(at.w)), (_minus(at.x), _plus(at.w))]
    return [Terms(speaks_for.pairs, speaks_for.bias, numbers.alpha), Terms(against, _minus(at.b), -numbers.beta)]


def flat(at: At, numbers: Numbers) -> list[Terms]:
    """All inputs alike: z_ij = 1 (Lapuschkin et al. 2019)."""
    return [Terms([(ops.ones_like(at.x), ops.ones_like(at.w))], ops.zeros_like(at.b))]


def w_square(at: At, numbers: Numbers) -> list[Terms]:
    """By the size of the weights: z_ij = w_ij^2 (Montavon et al. 2017, eq. 12)."""
    return [Terms([(ops.ones_like(at.x), at.w * at.w)], at.b * at.b)]


def z_box(at: At, numbers: Numbers) -> list[Terms]:
    """z_ij = x_i w_ij - low max(w_ij, 0) - high min(w_ij, 0) (Montavon et al. 2017, eq. 16); the biases cancel."""
    pairs = [(at.x, at.w), (at.low, -_plus(at.w)), (at.high, -_minus(at.w))]
    return [Terms(pairs, ops.zeros_like(at.b))]


KERNEL_RULES = {
    "0": epsilon,
    "epsilon": epsilon,
    "gamma": gamma,
    "alpha-beta": alpha_beta,
    "z+": z_plus,
    "flat": flat,
    "w²": w_square,
    "w^2": w_square,  # the same for keyboards without the sign
    "zB": z_box,
}


def shared(linear, at: At, relevance, rule: str, numbers: Numbers):
    """The relevance of the inputs of a `Linear` by a rule."""
    total = ops.zeros_like(at.x)
    for terms in KERNEL_RULES[rule](at, numbers):
        inputs, kernels = (list(part) for part in zip(*terms.pairs))

        def meet(*inputs, kernels=kernels):
            return [sum(linear.apply(x, kernel) for x, kernel in zip(inputs, kernels))]

        (z,), back = engine.pullback(meet, inputs)
        z = z + terms.bias if numbers.bias else z
        parts = back([terms.share * ratio(relevance, z, numbers.epsilon if rule == "epsilon" else 0.0)])
        total = total + sum(x * part for x, part in zip(inputs, parts))
    return total


def ratio(relevance, z, epsilon: float):
    """relevance / (z + epsilon sign(z)), sign(0) = 1; 0 where nothing is to be shared out of 0."""
    z = z + epsilon * ops.where(z < 0, -1.0, 1.0)
    return ops.where(z == 0, 0.0, relevance / ops.where(z == 0, 1.0, z))


def _plus(values):
    return ops.maximum(values, 0.0)


def _minus(values):
    return ops.minimum(values, 0.0)
