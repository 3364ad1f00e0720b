"""Figure: the record that describes a figure of features, which explain.py draws by `--method`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from keras_actmaps.cli.request import Request
from keras_actmaps.core.settings import Setting, settings_of
from keras_actmaps.core.traced_model import TracedModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """A figure of features.

    Attributes
    ----------
    name : str
        Key in FIGURES, and the name of the file.
    function : callable
        `(request, *, setting=default, ...) -> list of Path`: writes `<folder>/<name>.png` and `<folder>/<name>.npz`,
        after everything is computed, and returns their paths. Raises ValueError or OSError, before any computation,
        for errors that the user can correct.
    summary : str
        One sentence: what the figure shows.
    paper, cost, limitations : str
        Source, computational cost and what it does not show.
    needs_images : bool
        Whether it shows the images of the request, which are then written and described too.
    needs_model : bool
        False if a data set alone is enough.
    more_settings : mapping of str to Setting
        Settings that the function passes on, as `**settings`.
    """

    name: str
    function: Callable[..., list[Path]]
    summary: str
    paper: str
    cost: str
    limitations: str
    needs_images: bool = False
    needs_model: bool = True
    more_settings: Mapping[str, Setting] = field(default_factory=dict)

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """The settings by name."""
        return {**settings_of(self.function), **self.more_settings}


def require_traced(request: Request) -> TracedModel:
    """The model of a request at its default layer; ValueError if there is only a data set."""
    if request.traced is None:
        raise ValueError("there is no model; pass --run or --model")
    return request.traced
