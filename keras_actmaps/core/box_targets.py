"""A target of object detectors: a class in a box."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

from keras import ops

from keras_actmaps.core.attribution import Target, pick
from keras_actmaps.core.target_parts import TargetWithArray, select_output, set_array
from keras_actmaps.core.types import Array, Tensor


@dataclass(frozen=True, eq=False)
class Box(TargetWithArray):
    """A detection: the class's logit at the anchor that matches a box best, or a similarity to the detections.

    Methods with gradients explain the logit of class `number` at the anchor whose box has the highest intersection
    over union with `box` for the original input, and keep this anchor while they perturb the input. Methods without
    them explain max_j IoU(box, b_j) p_j[number] / |p_j| (D-RISE, Petsiuk et al. 2021, eq. 3, with a one-hot class),
    which stays meaningful where a perturbed image has other detections. D-RISE's objectness is part of p_j.

    Attributes
    ----------
    number : int
        The class.
    box : array of shape (4,) or (N, 4)
        (x0, y0, x1, y1), or any other order of two corners that the model's boxes have, in their units.
    boxes, classes : str or int
        Keys or positions of the outputs (N, anchors, 4) and (N, anchors, classes).
    decode : callable or None
        `(output boxes, outputs) -> corners (N, anchors, 4)`, in Keras operations, for a model whose boxes are offsets
        or centers and sizes; None for corners.
    activation : {"softmax", "sigmoid"}
        What makes the probabilities p_j of several class logits, for methods without gradients: pass "sigmoid" for
        detectors with independent classes, such as RetinaNet. A single logit has a sigmoid.
    """

    number: int
    box: Any
    boxes: str | int = "boxes"
    classes: str | int = "classes"
    decode: Callable[[Tensor, Any], Tensor] | None = None
    activation: Literal["softmax", "sigmoid"] = "softmax"
    is_similarity: bool = False

    def __post_init__(self) -> None:
        set_array(self, "box", ranks=(1, 2))
        if self.box.shape[-1] != 4:
            raise ValueError(f"a box has 4 coordinates, got shape {self.box.shape}")
        if self.activation not in ("softmax", "sigmoid"):
            raise ValueError(f"activation must be softmax or sigmoid, got {self.activation!r}")

    def __repr__(self) -> str:
        corners = ", ".join(f"{side:g}" for side in self.box[0])
        return f"Box(class {self.number}, {f'({corners})' if len(self.box) == 1 else f'{len(self.box)} boxes'})"

    @property
    def explained_outputs(self) -> tuple[str | int, ...]:
        return (self.classes,)  # the boxes have no gradient

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (self.box,)

    @property
    def program_key(self) -> Hashable:
        return type(self), self.number, self.boxes, self.classes, self.decode, self.activation, self.is_similarity

    def for_perturbations(self) -> "Box":
        return replace(self, is_similarity=True)

    @property
    def settled(self) -> Target:
        return self if self.is_similarity else _Anchor(self.number, self.classes)

    def settle(self, outputs: Any, *arrays: Tensor) -> tuple[Tensor, ...]:
        if self.is_similarity:
            return arrays
        boxes, _ = self._detections(outputs)
        return (ops.argmax(_intersection_over_union(arrays[0], boxes), axis=1),)

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        if not self.is_similarity:
            return self.settled.score(outputs, *map(ops.stop_gradient, self.settle(outputs, *arrays)))
        boxes, logits = self._detections(outputs)
        overlaps = _intersection_over_union(arrays[0], boxes)
        has_softmax = self.activation == "softmax" and logits.shape[-1] > 1
        chances = ops.softmax(logits) if has_softmax else ops.sigmoid(logits)
        lengths = ops.sqrt(ops.sum(chances**2, axis=-1))
        return ops.max(overlaps * ops.divide_no_nan(chances[..., self.number], lengths), axis=1)

    def _detections(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """The boxes (N, anchors, 4) and class logits; ValueError for other outputs and for an unknown class."""
        boxes, logits = select_output(outputs, self.boxes), select_output(outputs, self.classes)
        boxes = boxes if self.decode is None else self.decode(boxes, outputs)
        if len(boxes.shape) != 3 or boxes.shape[-1] != 4 or len(logits.shape) != 3:
            raise ValueError(
                f"Box needs outputs (N, anchors, 4) and (N, anchors, classes), got {tuple(boxes.shape)} and "
                f"{tuple(logits.shape)}"
            )
        if not 0 <= self.number < logits.shape[-1]:
            raise ValueError(f"class {self.number} does not exist; there are classes 0 to {logits.shape[-1] - 1}")
        return boxes, logits


@dataclass(frozen=True)
class _Anchor(Target):
    """The logit of a class at one anchor of each input, whose indices are known to the programs only."""

    number: int
    classes: str | int
    array_count = 1

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        return pick(select_output(outputs, self.classes)[..., self.number], ops.cast(arrays[0], "int32"))


def _intersection_over_union(box: Tensor, boxes: Tensor) -> Tensor:
    """(N, anchors) of boxes (N, 4) and (N, anchors, 4), both by two corners."""
    box = ops.cast(box, boxes.dtype)[:, None]
    low, high = ops.maximum(box[..., :2], boxes[..., :2]), ops.minimum(box[..., 2:], boxes[..., 2:])
    shared = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    areas = [ops.prod(ops.maximum(one[..., 2:] - one[..., :2], 0.0), axis=-1) for one in (box, boxes)]
    return ops.divide_no_nan(shared, areas[0] + areas[1] - shared)
