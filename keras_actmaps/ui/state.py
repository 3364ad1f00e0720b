"""What a visitor looks at: kept for the session, and written into the address of the page, as a link to it."""

import json
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from keras_actmaps.ui import limits
from keras_actmaps.ui.inputs import Picture
from keras_actmaps.ui.work import Job

LONGEST = 2_000  # characters of a value in a link
DEFAULT_METHODS = ("gradcam", "saliency", "integrated_gradients")


@dataclass(frozen=True)
class View:
    """What is shown; texts as in the link.

    Attributes
    ----------
    model, image : str
        Keys of a Choice and of a Picture; empty for the first.
    methods : tuple of str
    target, minus : str
        Numbers of classes; empty for the predicted class and for no difference.
    layer : str
        A path; empty for the default.
    settings : mapping
        Method to setting to text.
    """

    model: str = ""
    image: str = ""
    methods: tuple[str, ...] = DEFAULT_METHODS
    target: str = ""
    minus: str = ""
    layer: str = ""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def to_query(self) -> dict[str, str]:
        """The values that differ from the defaults, for a link."""
        texts = {name: getattr(self, name) for name in ("model", "image", "target", "minus", "layer")}
        texts["methods"] = "" if self.methods == DEFAULT_METHODS else ",".join(self.methods)
        changed = {method: dict(values) for method, values in self.settings.items() if values}
        texts["settings"] = json.dumps(changed, separators=(",", ":"), sort_keys=True) if changed else ""
        return {name: text for name, text in texts.items() if text}


def from_query(query: Mapping[str, str]) -> View:
    """The view of a link; what is malformed is left out, since anybody can write a link."""
    texts = {name: str(query.get(name, ""))[:LONGEST] for name in ("model", "image", "target", "minus", "layer")}
    methods = tuple(dict.fromkeys(filter(None, str(query.get("methods", ""))[:LONGEST].split(","))))
    return View(
        **texts,
        methods=methods[: limits.METHODS] or DEFAULT_METHODS,
        settings=_settings(str(query.get("settings", ""))[:LONGEST]),
    )


def _settings(text: str) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        method: {str(name): str(value) for name, value in values.items()}
        for method, values in found.items()
        if isinstance(values, dict)
    }


@dataclass(eq=False)
class Session:
    """What the page keeps for one visitor; nothing of it is seen by others."""

    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    view: View = field(default_factory=View)
    uploads: dict[str, Picture] = field(default_factory=dict)
    jobs: "OrderedDict[Any, Job]" = field(default_factory=OrderedDict)
    message: str = ""
    place: tuple[int, int] | None = None

    def change(self, **values: Any) -> None:
        """Change the view; another model or image has no place that was clicked."""
        if any(name in values and values[name] != getattr(self.view, name) for name in ("model", "image")):
            self.place = None
        self.view = replace(self.view, **values)

    def keep_upload(self, picture: Picture) -> None:
        """Keep an uploaded image, and forget the oldest of too many."""
        self.uploads[picture.key] = picture
        while len(self.uploads) > limits.UPLOADS:
            self.uploads.pop(next(iter(self.uploads)))

    def keep(self, key: Any, job: Job) -> Job:
        """Keep a job and its result, and forget the oldest of too many."""
        self.jobs[key] = job
        while len(self.jobs) > limits.RESULTS:
            self.jobs.popitem(last=False)
        return job


def session() -> Session:
    """The session of this visitor, begun with the view of the link."""
    if "actmaps" not in st.session_state:
        st.session_state.actmaps = Session(view=from_query(st.query_params.to_dict()))
    return st.session_state.actmaps


def write_link(view: View) -> None:
    """Put the view into the address of the page."""
    wanted = view.to_query()
    kept = {name: value for name, value in st.query_params.to_dict().items() if name == "look"}
    if st.query_params.to_dict() != wanted | kept:
        st.query_params.from_dict(wanted | kept)
