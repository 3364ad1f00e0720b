"""MethodRequest: a method with all its settings, and how it treats a model with several inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keras_actmaps.core.settings import settings_of, validate_settings
from keras_actmaps.core.several_inputs import pack, packed_baseline, part_named
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.core.validation import validate_batch_size
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods.registry import Method, find_method, validate_method


@dataclass(frozen=True, eq=False)
class MethodRequest:
    """A method and all its settings, validated.

    Attributes
    ----------
    method : Method
    settings : mapping
    perturb : str or None
        Of a model with several inputs, the name of the one that a method with perturbations varies.
    """

    method: Method
    settings: Mapping[str, Any]
    perturb: str | None = None

    def validate(self, traced: TracedModel, inputs: Array) -> None:
        """ValueError if the method does not support the model, its layer or these inputs."""
        if not traced.is_table:
            if self.perturb is not None:
                raise ValueError(f"perturb={self.perturb!r}, but {traced.name!r} has a single input")
            validate_method(self.method, traced, inputs, self.own_settings)
        elif self.perturbs:
            part = part_named(self.perturb, traced.parts)
            view = traced.perturbing(part.name, inputs[:1])
            validate_method(self.method, view, part.of(inputs), self.own_settings)
        else:
            if self.perturb is not None:
                raise ValueError(f"{self.method.name} perturbs no input, so that perturb={self.perturb!r} does not fit")
            validate_method(self.method, traced, inputs, self.of_table(traced).own_settings)

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings of the method's function: all but `channels`."""
        return {name: self.settings[name] for name in settings_of(self.method.function)}

    @property
    def perturbs(self) -> bool:
        """Whether the method varies one of several inputs, instead of computing with all of them."""
        is_joint = self.method.multi_input or (self.method.level == "layer" and self.method.single_pass)
        return not is_joint

    def of_table(self, traced: TracedModel) -> "MethodRequest":
        """The request for a table of several inputs, with baselines of tables."""
        settings = dict(self.settings)
        if "baseline" in settings:
            settings["baseline"] = packed_baseline(settings["baseline"], traced.parts, baseline_for)
        if "baselines" in settings:
            if settings["baselines"] is None:
                raise ValueError(f"{self.method.name} of several inputs needs baselines: a dict of arrays by input")
            settings["baselines"] = pack(settings["baselines"], traced.parts, traced.name)
        return replace(self, settings=settings)


def make_request(method: str | Method, settings: Mapping[str, Any], batch_size: int = 32) -> MethodRequest:
    """A method by name with all its settings; ValueError for an unknown name and for invalid values."""
    found = find_method(method)
    validate_batch_size(batch_size)
    own = {name: value for name, value in settings.items() if name != "perturb"}
    return MethodRequest(found, validate_settings(found.name, found.settings, own), settings.get("perturb"))
