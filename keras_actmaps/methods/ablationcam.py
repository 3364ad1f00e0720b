"""Ablation-CAM: channels weighted by the drop in score when they are gone."""

from keras import ops

from keras_actmaps.methods.kinds import compiled, of_layer, one_layer, takes_many


@of_layer
@takes_many
@compiled
def ablationcam(probe, images, targets):
    """The features weighted by what the score loses without them (Desai and Ramaswamy 2020).

    w_k = (Y - Y_k) / |Y|, with Y_k the score where channel k of the features is 0, and L = relu(sum_k w_k A^k). The
    paper divides by Y, which would turn every sign around for a negative score. images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass, and one of what follows the layer for each channel; no gradient.
    Fails: channels that stand in for each other all lose little alone; slow at early layers, whose head is long.
    """
    one_layer(probe, "ablationcam")
    values, (slot,), head = probe.split(images)
    features = values[slot]
    outputs = probe.finish(head, values)
    resolved = targets if callable(targets) else probe.resolve(outputs, targets)
    scores = probe.score(outputs, resolved)

    def score_without(kept):
        return probe.score(probe.finish(head, {**values, slot: features * kept}), resolved)

    channels = features.shape[-1]
    ablated = ops.map(score_without, ops.cast(1 - ops.eye(channels), features.dtype))
    weights = ops.moveaxis(ops.divide_no_nan(scores - ablated, ops.abs(scores)), 0, -1)
    probe.note(outputs, targets)
    space = tuple(1 for _ in features.shape[1:-1])
    if len(weights.shape) == 3:
        features = features[:, None]
    return ops.relu(ops.sum(ops.reshape(weights, (*weights.shape[:-1], *space, channels)) * features, axis=-1))
