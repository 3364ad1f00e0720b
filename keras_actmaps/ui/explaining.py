"""Maps for the page: what is wanted, computed in the queue, kept for the session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.targets import Difference
from keras_actmaps.core.types import Array
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.explain import explain
from keras_actmaps.methods.supported import Support, supported
from keras_actmaps.ui import inputs, limits, models
from keras_actmaps.ui.config import Config
from keras_actmaps.ui.controls import parse_settings
from keras_actmaps.ui.inputs import Gallery, Picture
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.state import Session, View
from keras_actmaps.ui.work import Full, Job, Queue


@dataclass(frozen=True)
class Wanted:
    """One map: everything that it depends on."""

    model: tuple[str, float]
    image: str
    method: str
    target: str
    minus: str
    layer: str
    settings: tuple[tuple[str, Any], ...]


@st.cache_resource
def queue() -> Queue:
    """The queue of all visitors."""
    return Queue()


@st.cache_resource(max_entries=limits.MODELS, show_spinner="Loading the model…")
def load_model(choice: models.Choice, version: float) -> Loaded:
    """A model, loaded once for all visitors; `version` changes with its file."""
    return models.load(choice)


@st.cache_resource(max_entries=limits.MODELS, show_spinner="Reading the images…")
def load_gallery(key: str, version: float, _loaded: Loaded, _config: Config) -> Gallery | None:
    """The images to choose from, with the model's predictions."""
    return inputs.read_gallery(_loaded, _config.data_dir)


@st.cache_resource(max_entries=4 * limits.MODELS, show_spinner=False)
def load_support(key: str, version: float, layer: str, _loaded: Loaded, _inputs: Array) -> Support:
    """Which methods fit the model."""
    return supported(_loaded.model, _inputs, layer=layer or None)


def support_of(loaded: Loaded, picture: Picture, layer: str = "") -> Support:
    """Which methods fit the model at a layer."""
    return load_support(loaded.choice.key, loaded.choice.version, layer, loaded, picture.inputs)


def target_of(loaded: Loaded, target: str, minus: str) -> Any:
    """The target of a view: a class, the difference of two, or None for the predicted class."""
    count = loaded.traced.classes or 0
    numbers = [int(text) if text.isdecimal() and int(text) < count else None for text in (target, minus)]
    if numbers[1] is None or numbers[0] == numbers[1]:
        return numbers[0]
    return Difference(numbers[0], numbers[1]) if numbers[0] is not None else None


def wanted_maps(session: Session, loaded: Loaded, picture: Picture) -> list[Wanted]:
    """The maps of the session's view, of the methods that fit the model."""
    view, version = session.view, (loaded.choice.key, loaded.choice.version)
    fitting = support_of(loaded, picture, layer_of(view, loaded)).methods
    return [
        Wanted(
            *(version, picture.key, method, view.target, view.minus),
            layer=layer_of(view, loaded) if METHODS[method].level == "layer" else "",
            settings=tuple(sorted(parse_settings(METHODS[method], view.settings.get(method, {})).items())),
        )
        for method in view.methods
        if method in fitting
    ]


def layer_of(view: View, loaded: Loaded) -> str:
    """The layer of a view, if the model has it; empty for the default."""
    return view.layer if view.layer in loaded.traced.layers else ""


def compute(wanted: Wanted, loaded: Loaded, picture: Picture, report: Any = None) -> Explanation:
    """The map."""
    return explain(
        loaded.model,
        picture.inputs,
        wanted.method,
        target_of(loaded, wanted.target, wanted.minus),
        wanted.layer if METHODS[wanted.method].level == "layer" and wanted.layer else None,
        report=report,
        **dict(wanted.settings),
    )


def request(session: Session, wanted: list[Wanted], loaded: Loaded, picture: Picture) -> list[Job]:
    """The jobs of the maps that are wanted now; others of this session are stopped."""
    for key, job in list(session.jobs.items()):
        if isinstance(key, Wanted) and key not in wanted and not job.is_finished:
            queue().stop(job)
            session.jobs.pop(key)
    found = []
    for one in wanted:
        known = session.jobs.get(one)
        if known is None or known.state == "stopped":
            known = submit(session, one, _function(one, loaded, picture))
        found.append(known)
    return found


def submit(session: Session, key: Any, function: Callable[[Job], Any]) -> Job:
    """A new job in the queue, kept in the session unless the queue is full, which is then its error."""
    job = Job(session.owner, key, function)
    try:
        return session.keep(key, queue().submit(job))
    except Full as error:
        job.state, job.error = "failed", str(error)
        return job


def _function(wanted: Wanted, loaded: Loaded, picture: Picture) -> Any:
    return lambda job: compute(wanted, loaded, picture, job.report)


def map_of(explanation: Explanation) -> Array:
    """The map (H, W) of one image; of several inputs the first that is an image; a row for a sequence."""
    maps = explanation.maps
    if isinstance(maps, dict):
        maps = next(iter(maps.values()))
    found = np.asarray(maps)[0]
    while found.ndim > 2:
        found = found[0]
    return found[None] if found.ndim == 1 else found


def describe(explanation: Explanation, loaded: Loaded, seconds: float) -> str:
    """Class, score, residual and time in one line."""
    if explanation.targets is not None:
        target = loaded.name(int(np.ravel(explanation.targets)[0]))
    else:
        target = _difference_name(explanation.target_name or "", loaded)
    parts = [target, f"score {float(np.ravel(explanation.scores)[0]):.3g}"]
    if explanation.residual is not None:
        parts.append(f"residual {float(np.ravel(explanation.residual)[0]):.2g}")
    duration = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    return " · ".join([*parts, duration])


def _difference_name(text: str, loaded: Loaded) -> str:
    """`Difference(3, 5)` by the names of its classes."""
    numbers = text.removeprefix("Difference(").removesuffix(")").split(", ")
    if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
        return " − ".join(loaded.name(int(number)) for number in numbers)
    return text
