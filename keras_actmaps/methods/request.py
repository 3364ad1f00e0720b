"""MethodRequest: a method with all its settings, and how it treats a model with several inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_actmaps.core.settings import settings_of, validate_settings
from keras_actmaps.core.several_inputs import Part, packed_baseline, part_named
from keras_actmaps.core.tokens import Tokens, embedding_parts
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.core.validation import validate_batch_size
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods._tokens import DEFAULT, baselines_by_part, groups_of, main_parts, tokens_named
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
    groups : array or None
        Of a model of token ids, the number of the word of each token.
    given : frozenset of str
        The names of the settings that were passed.
    """

    method: Method
    settings: Mapping[str, Any]
    perturb: str | None = None
    groups: Any = None
    given: frozenset[str] = frozenset()

    def validate(self, traced: TracedModel, inputs: Array) -> None:
        """ValueError if the method does not support the model, its layer or these inputs."""
        self._refuse_others(traced)
        self.for_tokens(traced)._validate(traced, inputs)

    def _validate(self, traced: TracedModel, inputs: Array) -> None:
        if not traced.is_table:
            validate_method(self.method, traced, inputs, self.own_settings)
        elif (tokens := self.hides_words(traced)) is not None:
            view = self.at_words(traced, tokens, inputs[:1], groups_of(traced, inputs, tokens, self.groups)[:1])
            validate_method(self.method, view, view.everything, self.of_words().own_settings)
        elif self.perturbs:
            part = self.varied_part(traced)
            view = traced.perturbing(part.name, inputs[:1])
            validate_method(self.method, view, part.of(inputs), self.of_part(traced, part).own_settings)
        else:
            for one in traced.tokens:
                groups_of(traced, inputs, one, self.groups)
            validate_method(self.method, traced, inputs, self.of_table(traced).own_settings)

    def _refuse_others(self, traced: TracedModel) -> None:
        """ValueError for settings that only models with several inputs, or of tokens, have."""
        if not traced.is_table and self.perturb is not None:
            raise ValueError(f"perturb={self.perturb!r}, but {traced.name!r} has a single input")
        if self.groups is not None and not traced.tokens:
            raise ValueError(
                f"groups are words of token ids, which {traced.name!r} does not take; segments= takes labels of "
                "pixels or features, for the methods that have it"
            )
        if "baseline" in self.given and "baseline" not in self.settings and not traced.tokens:
            validate_settings(self.method.name, self.method.settings, {"baseline": None})
        is_joint = traced.is_table and not self.perturbs
        if is_joint and self.perturb is not None:
            raise ValueError(f"{self.method.name} perturbs no input, so that perturb={self.perturb!r} does not fit")

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings of the method's function: all but `channels`."""
        return {name: self.settings[name] for name in settings_of(self.method.function)}

    @property
    def perturbs(self) -> bool:
        """Whether the method varies one of several inputs, instead of computing with all of them."""
        is_joint = (
            self.method.multi_input
            or "attention" in self.method.needs
            or (self.method.level == "layer" and self.method.single_pass)
        )
        return not is_joint

    def hides_words(self, traced: TracedModel) -> Tokens | None:
        """The token input of which the method hides words; None for any other method or input."""
        if not self.perturbs or "fill" not in self.method.settings or not traced.tokens:
            return None
        return tokens_named(traced, self.perturb)

    def varied_part(self, traced: TracedModel) -> Part:
        """The input that the method varies; ValueError for one that it cannot vary as a whole."""
        part = part_named(self.perturb, main_parts(traced))
        if any(one.name == part.name and len(one.nodes) > 1 for one in traced.tokens):
            raise ValueError(f"{self.method.name} varies one embedding of {part.name!r}, which has several")
        return part

    def for_tokens(self, traced: TracedModel) -> "MethodRequest":
        """The request with the defaults of token ids: the norm in the place of the largest of D values."""
        if not traced.tokens:
            return self
        settings, default = dict(self.settings), self.method.reduction
        if "of" in settings and settings.get("channels") is None:
            default = find_method(settings["of"]).reduction
        if default == "abs_max" and "channels" not in self.given:
            settings["channels"] = "norm"
        for name in ("baseline", "fill"):
            if name in settings and not self.given & {"baseline", name}:
                settings[name] = DEFAULT
        return replace(self, settings=settings)

    def of_table(self, traced: TracedModel) -> "MethodRequest":
        """The request for a table of several inputs, with baselines of tables."""
        settings = dict(self.settings)
        if "baseline" in settings:
            baseline = baselines_by_part(traced, settings["baseline"])
            settings["baseline"] = packed_baseline(baseline, traced.parts, baseline_for)
        if "baselines" in settings:
            settings["baselines"] = self._packed_baselines(traced)
        return replace(self, settings=settings)

    def _packed_baselines(self, traced: TracedModel) -> Array:
        """A table of baselines, NaN where inputs that are not floating keep their own values."""
        baselines = self.settings["baselines"]
        if baselines is None:
            what = "an array of token ids" if len(traced.input_parts) == 1 else "a dict of arrays by input"
            inputs = "tokens" if traced.tokens else "several inputs"
            raise ValueError(f"{self.method.name} of {inputs} needs baselines: {what}")
        table = traced.validate_inputs(baselines)
        for part in traced.parts:
            if not part.is_floating:
                table[:, part.start : part.stop] = np.nan
        return table

    def of_part(self, traced: TracedModel, part: Part) -> "MethodRequest":
        """The request for one of several inputs, with the baseline of that input."""
        if not traced.tokens or "baseline" not in self.settings:
            return self
        baseline = baselines_by_part(traced, self.settings["baseline"])[part.name]
        return replace(self, settings={**self.settings, "baseline": baseline})

    def of_words(self) -> "MethodRequest":
        """The request for the words of a text, which are 1 where they are kept and 0 where they are replaced."""
        return replace(self, settings={**self.settings, "fill": "zero"})

    def at_words(self, traced: TracedModel, tokens: Tokens, row: Array, groups: Array) -> TracedModel:
        """The model as one of the words of a text, of which `row` (1, F) has the embeddings; groups: (1, T)."""
        count = 1 + int(groups.max(initial=-1))
        if not count:
            raise ValueError(f"{self.method.name} hides words, and a text has none: all its tokens are padding")
        baselines, replaced = baselines_by_part(traced, self.settings["fill"]), row.copy()
        for part in embedding_parts(traced.parts, tokens):
            own = np.ascontiguousarray(baseline_for(part.of(row), baselines[part.name]))
            replaced[:, part.start : part.stop] = own.reshape(1, -1)
        index = np.where(groups[0] < 0, count, groups[0]).astype("int32")
        return traced.perturbing_words(tokens, row, replaced, index, count)


def make_request(method: str | Method, settings: Mapping[str, Any], batch_size: int = 32) -> MethodRequest:
    """A method by name with all its settings; ValueError for an unknown name and for invalid values."""
    found = find_method(method)
    validate_batch_size(batch_size)
    own = {name: value for name, value in settings.items() if name not in ("perturb", "groups")}
    if "baseline" in own and "baseline" not in found.settings and "fill" in found.settings:
        own["fill"] = own.pop("baseline")  # of tokens, for which the name does not depend on the method
    validated = validate_settings(found.name, found.settings, own)
    return MethodRequest(found, validated, settings.get("perturb"), settings.get("groups"), frozenset(settings))
