"""LayerCAM: the features times their positive gradients, optionally fused over several layers."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_actmaps.core.resize import resize_tensor
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Attribution, Method

GAMMA = 2.0  # factor of the scaling before maps are fused


def layercam(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """M = relu(sum_k relu(dY/dA^k) * A^k), elementwise (Jiang et al. 2021, section III).

    Maps of several layers are fused: the elementwise maximum of tanh(2 M / max M), each resized to the largest map.
    """
    return traced.map_at_layer(inputs, targets, _fused if isinstance(traced.layer, list) else _map)


def _map(features: Tensor, gradients: Tensor) -> Tensor:
    return ops.relu(ops.sum(ops.relu(gradients) * features, axis=-1))


def _fused(features: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    maps = [_map(*pair) for pair in zip(features, gradients)]
    space = tuple(max(sides) for sides in zip(*(one.shape[1:] for one in maps)))
    fused = _scaled(resize_tensor(maps[0], space))
    for one in maps[1:]:
        fused = ops.maximum(fused, _scaled(resize_tensor(one, space)))
    return fused


def _scaled(maps: Tensor) -> Tensor:
    """tanh(2 M / max M); 0 for a map of zeros."""
    highest = ops.max(maps, axis=tuple(range(1, len(maps.shape))), keepdims=True)
    return ops.tanh(GAMMA * ops.divide_no_nan(maps, highest))


METHOD = Method(
    name="layercam",
    function=layercam,
    level="layer",
    multi_target=True,
    multi_layer=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="Where the features of a layer, or of several, support the target, at shallow layers too",
    paper="Jiang et al. 2021, section III",
    cost="one forward pass, and one backward pass from the score to the first of the layers.",
    limitations="ignores negative gradients, thus evidence against the target; shallow layers highlight every edge.",
)
