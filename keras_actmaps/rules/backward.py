"""The gradients that guided backpropagation and deconvnet put in the place of ReLU's own."""

from collections.abc import Callable
from dataclasses import replace

from keras import ops

from keras_actmaps import engine, rewire
from keras_actmaps.rules.kinds import RELU, kind_of, name_of


def guided(relu: Callable) -> Callable:
    """ReLU whose gradient passes only what is positive, where ReLU itself passes anything: relu'(x) max(g, 0)."""
    return engine.with_backward(relu, lambda x, g: engine.pullback(lambda x: [relu(x)], [x])[1]([ops.relu(g)])[0])


def deconvnet(relu: Callable) -> Callable:
    """ReLU whose gradient passes all that is positive, wherever ReLU was: max(g, 0)."""
    return engine.with_backward(relu, lambda x, g: ops.relu(g))


def with_relu(graph: rewire.Graph, rule: Callable, name: str, method: str) -> tuple[rewire.Step, ...]:
    """The steps of the graph with `rule(relu)` in the place of each ReLU; be it a layer, an operation, `activation=`.

    ReLU6, leaky ReLU and other settings count as ReLU; any other activation keeps its own gradient. ValueError where
    there is no ReLU: `method` asked, of the model `name`.
    """
    steps = rewire.split_activations(graph).steps
    if not any(name_of(step.operation) in RELU for step in steps):
        found = dict.fromkeys(name_of(step.operation).lower() for step in steps if kind_of(step) == "activation")
        raise ValueError(
            f"{method} changes the gradient of ReLU, and {name!r} has none; its activations: "
            f"{', '.join(found) or 'none'}; saliency and integrated_gradients take any"
        )
    return tuple(
        replace(step, operation=rule(step.operation)) if name_of(step.operation) in RELU else step for step in steps
    )
