"""DeepLIFT: the change of the score from a baseline, shared out over the change of each pixel."""

from keras import ops, tree

from keras_actmaps import engine, rewire
from keras_actmaps.methods.baselines import baseline_for, gain_over
from keras_actmaps.methods.kinds import check_channels, many_passes, reduced, sums_to
from keras_actmaps.rules.kinds import kind_of, label

SMALL = 1e-6  # where a change of an activation's input is nothing, its gradient stands for the quotient
TOWARDS = 1e-4  # of the way from baseline to image: far enough to choose between equals in the baseline


def _check(probe, images, *, baseline, channels):
    check_channels(channels)
    baseline_for(images[:1], baseline)
    for step in rewire.split_activations(probe.need_graph()).steps:
        if kind_of(step) is None:
            raise ValueError(f"deeplift has no rule for layer {label(step)}; integrated_gradients takes any layer")


@sums_to(gain_over("baseline"))
@many_passes(_check)
def deeplift(probe, images, targets, *, baseline="zero", channels="sum"):
    """The part of each pixel in the score's change from a baseline (Shrikumar et al. 2017, section 3.5.2: rescale).

    S = m (x - x0), where the multiplier m of an activation is dy/dx as a quotient of changes, (y - y0) / (x - x0), and
    multipliers follow the chain rule. It sums to Y(x) - Y(x0). images (N,H,W,C) -> (N,H,W).

    Linear layers and products have the gradient halfway, which is exact for them; max pooling gives its change to the
    place that wins in the image, or in the baseline where that is the greater. baseline: x0, as in `baseline_for`.
    channels: "sum", "max" of the absolute values, or "keep". Raises ValueError for a layer that is none of these.
    Cost: 2 forward passes, of image and baseline, and 1 back.
    Fails: it hangs on the baseline, as integrated gradients do; gates and products are shared by a convention.
    """
    start = baseline_for(images, baseline)
    return engine.to_numpy(probe.ask(_multiplied, images, targets, start, channels=channels)[0])


def _multiplied(probe, images, targets, start, *, channels):
    graph = rewire.split_activations(probe.graph)
    values, begins = (rewire.run(graph.steps, {graph.inputs[0]: x}) for x in (images, start))
    slots = tree.flatten(graph.outputs)
    outputs, before = ([ops.cast(part[slot], "float32") for slot in slots] for part in (values, begins))
    packed = tree.pack_sequence_as(graph.outputs, outputs)
    probe.note(packed, targets)
    chosen = targets if callable(targets) else probe.resolve(packed, targets)

    def score(*outputs):
        return [probe.score(tree.pack_sequence_as(graph.outputs, list(outputs)), chosen)]

    (scores,), back = engine.pullback(score, _halfway(outputs, before))
    multipliers = dict(zip(slots, back([ops.ones_like(scores)])))

    def through(step, arrived):
        x, x0 = ([part[slot] for slot in step.reads.values()] for part in (values, begins))
        y, y0 = ([part[slot] for slot in step.writes] for part in (values, begins))
        arrived = [ops.zeros_like(y) if m is None else m for y, m in zip(y, arrived)]
        rule = {"activation": _rescale, "max": _by_winner}.get(kind_of(step), _by_gradient)
        return rule(lambda *inputs: tree.flatten(step(dict(zip(step.reads.values(), inputs)))), x, x0, y, y0, arrived)

    arrived = rewire.run_back(graph.steps, multipliers, through)
    return reduced(arrived[graph.inputs[0]] * (images - start), channels)


def _by_gradient(function, x, x0, y, y0, multipliers):
    """The gradient halfway: exact for what is linear or a product."""
    return engine.pullback(function, _halfway(x, x0))[1](multipliers)


def _rescale(function, x, x0, y, y0, multipliers):
    """m (y - y0) / (x - x0), element by element."""
    change = x[0] - x0[0]
    is_small = ops.abs(change) < SMALL
    quotient = multipliers[0] * (y[0] - y0[0]) / ops.where(is_small, 1.0, change)
    return [ops.where(is_small, _by_gradient(function, x, x0, y, y0, multipliers)[0], quotient)]


def _by_winner(function, x, x0, y, y0, multipliers):
    """The maximum's rise to its winner in x, its fall to that in x0 (of equals, the one near x), over their changes."""
    near = [b + TOWARDS * (a - b) for a, b in zip(x, x0)]
    (m,), (y,), (y0,) = multipliers, y, y0
    rises = engine.pullback(function, x)[1]([m * ops.maximum(y - y0, 0.0)])
    falls = engine.pullback(function, near)[1]([m * ops.minimum(y - y0, 0.0)])
    changes = [a - b for a, b in zip(x, x0)]
    return [(up + down) / ops.where(change == 0, 1.0, change) for up, down, change in zip(rises, falls, changes)]


def _halfway(x, x0):
    return [(a + b) / 2 for a, b in zip(x, x0)]
