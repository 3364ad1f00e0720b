"""Layer-wise relevance propagation: the score, propagated backward layer by layer to the inputs."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, carrying, check_inputs_reached, run_nodes
from keras_actmaps.core.linear import linearize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Ge
from keras_actmaps.core.several_inputs import value_ranges
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules.channels import Keep, check_channels, through_channels
from keras_actmaps.methods.rules.detached import DETACHED, Detached, kernel_rule
from keras_actmaps.methods.rules.lrp import Propagation, check_rules
from keras_actmaps.methods.rules.lrp_rules import Parameters

Composite = Literal["epsilon_plus", "epsilon_alpha2_beta1", "epsilon_gamma_box", "epsilon_plus_flat", "cp", "attnlrp"]
Rule = Literal["0", "epsilon", "gamma", "alpha-beta", "z+", "flat", "w²", "w^2", "zB", "pass", "route"]
Bound = float | np.ndarray | None


def lrp(
    traced: TracedModel,
    inputs: Tensor,
    targets: Any,
    *,
    composite: Annotated[Composite, "rules by the type of layer"] = "epsilon_plus",
    rule: Annotated[Rule | Literal[0] | None, "one rule for all layers with a kernel instead"] = None,
    rules: Annotated[dict[str, str | Callable] | None, "rules by a layer's path, name or type"] = None,
    epsilon: Annotated[float, Ge(0), "stabilizer of the epsilon rule"] = 1e-6,
    gamma: Annotated[float, Ge(0), "preference of the gamma rule for positive weights"] = 0.25,
    alpha: Annotated[float, Ge(0), "weight of positive contributions; alpha - beta = 1"] = 2.0,
    beta: Annotated[float, Ge(0), "weight of negative contributions"] = 1.0,
    low: Annotated[Bound, "least value of the images for zB, or one per channel; None is that of each image"] = None,
    high: Annotated[
        Bound, "greatest value of the images for zB, or one per channel; None is that of each image"
    ] = None,
    bias: Annotated[bool, "whether biases absorb a share of the relevance"] = True,
    channels_of: Annotated[str | None, "only relevance through channels of this layer"] = None,
    keep: Annotated[Keep, "the channels of that layer; None is all"] = None,
) -> Attribution:
    """R_i = sum_j z_ij / (sum_i z_ij + b_j) R_j from the logit to the input (Bach et al. 2015, eq. 56 to 60).

    Parameters
    ----------
    composite : str
        "epsilon_plus" (epsilon on Dense, z+ on convolutions), "epsilon_alpha2_beta1" (alpha-beta instead of z+),
        "epsilon_gamma_box" (gamma; zB on the first convolutions) or "epsilon_plus_flat" (flat on the first layers).
        For transformers "cp" (conservative propagation: attention and scales are constants) or "attnlrp" (attention has
        its gradient, products are halved).
    rules : dict
        Rules that take precedence, also for layers without one: a rule of the table, "pass" (relevance is unchanged),
        "route" (it follows the gradient), "0", "epsilon", or a function
        `(layer, inputs, outputs, relevance) -> relevance of the inputs`.
    bias : bool
        If True, the map sums to the score minus the share of the biases. If False, that share is distributed over the
        inputs, and relevance is lost only where no input contributes.
    channels_of, keep : str, and int or sequence of int
        Concept relevance (Achtibat et al. 2023, eq. 4): R(x | k), the part of the map that passes through channels of a
        layer. Over all channels they sum to the map, if all paths lead through the layer. The residual is then minus
        the relevance of the other channels and paths.

    Raises
    ------
    ValueError
        For an unknown rule, and for a layer without a rule.

    Notes
    -----
    Batch normalization is folded into an adjacent layer with a kernel; without one it passes relevance through, as do
    activations, rescaling and preprocessing (rules 0 and epsilon give their shift a share). Sums and average pooling
    distribute by z_ij = x_i, and max pooling passes all to the maximum. A product passes all to its signal and none to
    its gate: a factor that is broadcast (squeeze and excitation), else a sigmoid, 1 minus it, ReLU6 or a mask, possibly
    scaled or reshaped; half to each factor if neither or both are gates. Layer, group, root-mean-square and unit
    normalization are y = gamma (x - mean) s + beta with a constant scale s (Ali et al. 2022).

    LSTM, GRU, SimpleRNN and RNN over their cells are propagated step by step (Arras et al. 2017): the kernels by the
    rule epsilon, or one of 0, gamma, alpha-beta and z+; gates get none; the sums of states have the same stabilizer.
    `epsilon=0.001` is that of the paper. Steps that are masked get none.

    "cp" (Ali et al. 2022) and "attnlrp" (Achtibat et al. 2024) are input times the gradient of a network in which these
    are constants: the scale of normalizations, f(x)/x of activations, one factor of products, and for "cp" the
    probabilities of attention. Layers of unknown type have their own gradient. With "cp" the map sums to the score
    minus all biases times their gradients, and the residual is 0 where each layer is affine; "attnlrp" has no known
    sum. `rule`, such as "gamma", applies to layers with a kernel; rules of single layers are not supported.

    The first layers of zB and flat are all layers with a kernel whose inputs come from the image through layers without
    kernels only, in every branch. A pointwise convolution that is read by layers with a kernel only mixes colors: it is
    no first layer, and distributes by squared weights.
    """
    graph = linearize(traced.require_graph())
    values = run_nodes(graph.nodes, traced.start(inputs))
    if traced.parts:
        lowest, highest = value_ranges(values[graph.inputs[0]], traced.parts)
        low, high = lowest if low is None else low, highest if high is None else high
    outputs, gradients = score_gradients(traced, graph, values, targets)
    parameters = Parameters(epsilon, gamma, alpha, beta, bias)
    if composite in DETACHED:
        detached = Detached(graph, composite, kernel_rule(rule), parameters)
        through = through_channels(detached.gradients, graph, values, gradients, channels_of, keep, traced.name)
        at_inputs = traced.at_inputs(through)
        return Attribution(at_inputs * traced.at_inputs(values), outputs)
    start = {slot: ops.cast(values[slot], "float32") * gradient for slot, gradient in gradients.items()}
    one_rule = None if rule is None else str(rule)
    propagation = Propagation(graph, composite, one_rule, rules or {}, parameters, low, high)
    through = through_channels(propagation, graph, values, start, channels_of, keep, traced.name)
    return Attribution(traced.at_inputs(through), outputs)


def score_gradients(traced: TracedModel, graph: Graph, values: Mapping, targets: Any) -> tuple[Any, dict]:
    """The outputs, and the gradient of the score with respect to each by its slot."""
    slots = tree.flatten(graph.outputs)
    outputs = [ops.cast(values[slot], "float32") for slot in slots]

    def score(*outputs: Tensor) -> list[Tensor]:
        return [traced.score(tree.pack_sequence_as(graph.outputs, list(outputs)), targets)]

    (scores,), backward = backend.vjp(score, outputs)
    return tree.pack_sequence_as(graph.outputs, outputs), dict(zip(slots, backward([ops.ones_like(scores)])))


def _validate(
    traced: TracedModel,
    inputs: Array,
    *,
    composite: str,
    rule: Any,
    rules: Mapping[str, Any] | None,
    epsilon: float,
    gamma: float,
    alpha: float,
    beta: float,
    low: Any,
    high: Any,
    bias: bool,
    channels_of: str | None,
    keep: Any,
) -> None:
    if not np.isclose(alpha - beta, 1):
        raise ValueError(f"alpha={alpha} and beta={beta} must differ by 1, or relevance would be lost")
    for name, end in (("low", low), ("high", high)):
        if end is not None and np.shape(end) not in ((), (1,), (inputs.shape[-1],)):
            raise ValueError(
                f"{name} of shape {np.shape(end)} must be a number or one per channel, of which there are "
                f"{inputs.shape[-1]}"
            )
    if low is not None and high is not None and np.any(np.asarray(low) >= np.asarray(high)):
        raise ValueError(f"low={low} is not below high={high}")
    graph = linearize(traced.require_graph())
    check_inputs_reached(graph, "lrp")
    check_rules(graph, rules or {})
    check_channels(graph, channels_of, keep, traced.name)
    parameters = Parameters(epsilon, gamma, alpha, beta, bias)
    if composite in DETACHED:
        if rules:
            raise ValueError(f"composite {composite!r} takes no rules of single layers; rule= is for all kernels")
        return Detached(graph, composite, kernel_rule(rule), parameters).check()
    one_rule = None if rule is None else str(rule)
    propagation = Propagation(graph, composite, one_rule, rules or {}, parameters, low, high)
    for node in carrying(graph):
        propagation.rule_of(node)


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """The score, which relevance conserves; for "cp" without the share of the biases."""
    if settings["composite"] != "cp" or kernel_rule(settings["rule"]) is not None:
        return scores
    biases, _, _ = traced.run(_biases, inputs, targets, context=context)
    return scores - backend.to_numpy(biases)


def _biases(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """The sum of all biases times their gradients, for "cp"."""
    graph = linearize(traced.require_graph())
    values = run_nodes(graph.nodes, traced.start(inputs))
    outputs, gradients = score_gradients(traced, graph, values, targets)
    detached = Detached(graph, "cp", None, Parameters())
    return Attribution(detached.biases(values, detached.gradients(values, gradients)), outputs)


METHOD = Method(
    name="lrp",
    function=lrp,
    multi_input=True,
    reduction="sum",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients", "graph"}),
    summary="The contribution of each pixel to the score, propagated backward layer by layer",
    paper="Bach et al. 2015, eq. 56 to 60",
    cost="one forward pass, and 1 to 4 passes through each layer backward.",
    limitations="z+ and alpha-beta depend little on the target and lose relevance after silu; 0 and epsilon are noisy.",
)
