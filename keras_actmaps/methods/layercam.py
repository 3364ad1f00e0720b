"""LayerCAM: the features times their positive gradients, and several layers fused."""

from keras import ops

from keras_actmaps.methods.kinds import compiled, of_layer, takes_many
from keras_actmaps.resize import interpolation

GAMMA = 2.0  # of the scaling before maps are fused


@of_layer
@takes_many
@compiled
def layercam(probe, images, targets):
    """Where features that speak for the target lie, at shallow layers too (Jiang et al. 2021, section III).

    M = relu(sum_k relu(dY/dA^k) * A^k), element by element. A list of layers is fused: the element-wise maximum of
    tanh(2 M / max M), each map resized to the largest of them. images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass, and one backward pass from the score to the first of the layers.
    Fails: drops negative gradients, so it cannot show evidence against; shallow layers light up at every edge.
    """
    probe.need_layers()
    return probe.at_layer(images, targets, _fused if isinstance(probe.layer, list) else _map)


def _map(features, gradients):
    return ops.relu(ops.sum(ops.relu(gradients) * features, axis=-1))


def _fused(features, gradients):
    maps = [_map(*pair) for pair in zip(features, gradients)]
    space = [max(sides) for sides in zip(*(one.shape[1:] for one in maps))]
    fused = _scaled(_resized(maps[0], space))
    for one in maps[1:]:
        fused = ops.maximum(fused, _scaled(_resized(one, space)))
    return fused


def _scaled(maps):
    """tanh(2 M / max M), and 0 where a map is 0 everywhere."""
    highest = ops.max(maps, axis=tuple(range(1, len(maps.shape))), keepdims=True)
    return ops.tanh(GAMMA * ops.divide_no_nan(maps, highest))


def _resized(maps, space):
    """maps (N,h,w) -> (N, *space), as `resize` does it."""
    for axis, side in enumerate(space, start=1):
        rows = ops.matmul(ops.moveaxis(maps, axis, -1), interpolation(maps.shape[axis], side).T)
        maps = ops.moveaxis(rows, -1, axis)
    return maps
