"""Layer-wise relevance propagation: the score, handed back layer by layer to those who made it."""

import numpy as np
from keras import ops, tree

from keras_actmaps import engine, rewire
from keras_actmaps.methods.kinds import check_channels, compiled, reduced, sums_to
from keras_actmaps.rules.linear import linearised
from keras_actmaps.rules.relevance import COMPOSITES, RULES, Propagation, check_rules
from keras_actmaps.rules.terms import Numbers


def _score(probe, images, targets, scores, settings):
    """Conservation: the score."""
    return scores


@sums_to(_score)
@compiled
def lrp(
    probe,
    images,
    targets,
    *,
    composite="epsilon_plus",
    rule=None,
    rules=None,
    epsilon=1e-6,
    gamma=0.25,
    alpha=2.0,
    beta=1.0,
    low=None,
    high=None,
    bias=True,
    channels="sum",
):
    """The part of each pixel in the score, as the layers hand it back to their inputs (Bach et al. 2015, eq. 56 to 60).

    R_i = sum_j z_ij / (sum_i z_ij + b_j) R_j from the logit to the image. images (N,H,W,C) -> (N,H,W).

    composite: "epsilon_plus" (epsilon on Dense, z+ on convolutions), "epsilon_alpha2_beta1" (alpha-beta instead of z+),
        "epsilon_gamma_box" (gamma; zB on the first convolutions) or "epsilon_plus_flat" (flat on the first layers).
    rule: one for all layers instead: "0", "epsilon", "gamma", "alpha-beta", "z+", "flat", "w²" (also "w^2") or "zB".
    rules: {a layer's path, name or type: rule} before all others; also for layers that have none, for which there are
        "pass" (relevance stays where it is), "route" (it goes where the gradient does), "0", "epsilon" or a function
        (layer, inputs, outputs, relevance) -> relevance of the inputs.
    epsilon, gamma, alpha, beta: the numbers in the rules; alpha - beta = 1. low, high: the least and greatest value of
        the images for zB, a number or one a channel; None takes those of each image.
    bias: True gives biases their share, and the map sums to the score less that; False shares it among the inputs, and
        only what nothing but a bias speaks for is lost.
    channels: "sum", "max" of the absolute values, or "keep".

    Batch normalisation is folded into the layer with a kernel beside it; one that has none passes relevance through,
    as activations, rescaling and preprocessing do (rules 0 and epsilon give their shift a share). Sums and average
    pooling share by z_ij = x_i, max pooling gives all to the winner, a gate (squeeze and excitation) leaves all to what
    it gates. Raises ValueError for an unknown rule and for a layer without one.
    Cost: 1 forward pass, and 1 to 4 passes through each layer on the way back.
    Fails: z+ and alpha-beta hang little on the target and lose relevance behind silu; 0 and epsilon are noisy.
    """
    numbers = Numbers(epsilon, gamma, alpha, beta, bias)
    _check(images, composite, rule, numbers, low, high, channels)
    graph = linearised(probe.need_graph())
    check_rules(graph, rules or {})
    rule = None if rule is None else str(rule)
    values = rewire.run(graph.steps, {graph.inputs[0]: images})
    slots = tree.flatten(graph.outputs)
    outputs = [ops.cast(values[slot], "float32") for slot in slots]
    probe.note(tree.pack_sequence_as(graph.outputs, outputs), targets)

    def score(*outputs):
        return [probe.score(tree.pack_sequence_as(graph.outputs, list(outputs)), targets)]

    (scores,), back = engine.pullback(score, outputs)
    start = {slot: y * g for slot, y, g in zip(slots, outputs, back([ops.ones_like(scores)]))}
    relevance = Propagation(graph, composite, rule, rules or {}, numbers, low, high)(values, start)
    return reduced(relevance, channels)


def _check(images, composite, rule, numbers: Numbers, low, high, channels) -> None:
    check_channels(channels)
    if composite not in COMPOSITES:
        raise ValueError(f"no composite {composite!r}; there are: {', '.join(COMPOSITES)}")
    if rule is not None and str(rule) not in RULES:
        raise ValueError(f"no rule {rule!r}; there are: {', '.join(RULES)}")
    for name in ("epsilon", "gamma", "alpha", "beta"):
        if not 0 <= getattr(numbers, name) < np.inf:
            raise ValueError(f"{name}={getattr(numbers, name)!r} is below 0 or not finite")
    if not np.isclose(numbers.alpha - numbers.beta, 1):
        raise ValueError(
            f"alpha={numbers.alpha} and beta={numbers.beta} do not differ by 1, so relevance would be lost"
        )
    for name, end in (("low", low), ("high", high)):
        if end is not None and np.shape(end) not in ((), (1,), (images.shape[-1],)):
            raise ValueError(f"{name} of shape {np.shape(end)} is neither a number nor one for each of "
                             f"{images.shape[-1]} channels")  # fmt: skip
    if low is not None and high is not None and np.any(np.asarray(low) >= np.asarray(high)):
        raise ValueError(f"low={low} is not below high={high}")
