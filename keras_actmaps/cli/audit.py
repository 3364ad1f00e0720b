"""The mode --audit of the command explain: what a model relies on over a split."""

from pathlib import Path

from keras_actmaps.auditing.audit import audit
from keras_actmaps.cli.choices import Choice, Mode
from keras_actmaps.cli.inputs import Stream
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_text
from keras_actmaps.core.progress import progress
from keras_actmaps.methods import METHODS

LIMIT = 2000  # images by default


def validate(options: ExplainOptions) -> None:
    """ValueError for options that select images or a target: an audit takes the predicted classes of a split."""
    unused = {
        "--image": options.image,
        "--inputs": options.inputs,
        "--index": options.index,
        "--target": options.target,
    }
    for name, value in unused.items():
        if value is not None:
            raise ValueError(f"{name} does not fit --audit, which explains the predicted classes of a split")
    if options.metrics is not None:
        raise ValueError("--metrics needs --compare")


def write(request: Request, choices: list[Choice], options: ExplainOptions) -> list[Path]:
    """The report, the table and the record of an audit of the split; the table is printed too."""
    (choice,) = choices
    stream = Stream(request.subject, request.split, request.data_dir, options.limit or LIMIT)
    with progress("audit") as bar:
        found = audit(
            request.traced_at_layer,
            stream,
            choice.name,
            limit=stream.count,
            names=[request.subject.name(label) for label in range(request.traced_at_layer.classes or 0)],
            report=lambda done, _: bar(done, stream.count),
            **choice.settings,
        )
    request.say(found.table())
    written = found.report(request.folder)
    return [written, save_text(written.with_suffix(".txt"), found.table()), found.save(written.with_suffix(".npz"))]


MODE = Mode(table=METHODS, validate=validate, write=write)
