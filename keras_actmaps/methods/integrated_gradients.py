"""Integrated gradients: the gradient along the path from a baseline to the input."""

from typing import Annotated, Any

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Gt
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import PathStart, baseline_for, gain_over, validate_baseline
from keras_actmaps.methods._paths import Path, integrate, integrate_to
from keras_actmaps.methods.registry import Attribution, Method

Tolerance = Annotated[float, Gt(0)] | None


def integrated_gradients(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: PathStart = "zero",
    steps: Annotated[Count, "nodes of the quadrature, if no tolerance is set"] = 64,
    tolerance: Annotated[Tolerance, "largest residual, as a share of the score's difference from the baseline"] = None,
) -> Attribution:
    """S = (x - x0) sum_s w_s dY/dx (x0 + a_s (x - x0)) (Sundararajan et al. 2017, eq. 1).

    a_s and w_s are the nodes and weights of Gauss-Legendre quadrature. The map sums to Y(x) - Y(x0). With a tolerance,
    pieces of 15 Gauss-Kronrod nodes are halved where their own residual is large, until the map's residual is within
    this share of Y(x) - Y(x0), with a warning if 4096 passes are not enough; `samples` are the passes.
    """
    path = Path(traced, inputs, baseline_for(inputs, baseline), targets, context)
    if tolerance is None:
        return Attribution(integrate(path, steps).astype("float32"))
    maps, passes = integrate_to(path, tolerance)
    context.report_facts(samples=passes)
    return Attribution(maps.astype("float32"))


METHOD = Method(
    name="integrated_gradients",
    function=integrated_gradients,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=validate_baseline,
    total=gain_over("baseline"),
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, relative to a baseline",
    paper="Sundararajan et al. 2017, eq. 1",
    cost="`steps` forward and backward passes; with a tolerance 15 or more.",
    limitations="zero where the image equals the baseline, such as black pixels; images on the path are unrealistic.",
)
