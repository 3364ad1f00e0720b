"""Maps at their own size, and models that must not be run."""

import numpy as np
import pytest


def raw_maps(method, model, inputs, targets=None, layer=None, batch_size=32, **settings) -> np.ndarray:
    """The maps of a method at their own size, that of the layer or of the input; not resized."""
    from keras_actmaps.core.cache import as_traced
    from keras_actmaps.core.run_context import RunContext
    from keras_actmaps.methods.attribute import attribute_batch
    from keras_actmaps.methods.request import make_request

    request, traced = make_request(method, settings), as_traced(model, layer, inputs=inputs)
    inputs = traced.validate_inputs(inputs)
    request.validate(traced, inputs)
    targets = traced.validate_targets(targets, len(inputs))
    return attribute_batch(traced, inputs, request, targets, RunContext(batch_size, len(inputs)))[0]


def forbid_passes(monkeypatch) -> None:
    """Fail the test as soon as any traced model is run."""
    import keras_actmaps as kam

    monkeypatch.setattr(kam.Probe, "program", lambda *_, **__: pytest.fail("the model was run"))
