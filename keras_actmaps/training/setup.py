"""What a training begins with: that of a new run, or that of a run that is resumed."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from keras_actmaps import data as datasets
from keras_actmaps import models
from keras_actmaps.training.checkpoint_file import Epoch
from keras_actmaps.training.protocols import Protocol, find_protocol, new_model
from keras_actmaps.training.run_folder import RunFolder
from keras_actmaps.training.runs import VOCABULARY

Say = Callable[[str], Any]
FACTS = ("classes", "image_shape", "scale", "counts", "source", "notice")  # about the data, which explaining needs


@dataclass(frozen=True, eq=False)
class Setup:
    """A compiled model, its data and its protocol.

    Attributes
    ----------
    model, data, protocol
    is_frozen : bool
        Whether only a linear head on a backbone is trained.
    history, best_model
        Of the epochs so far, as in `Checkpoint`.
    """

    model: keras.Model
    data: datasets.Data
    protocol: Protocol
    is_frozen: bool
    history: list[Epoch] = field(default_factory=list)
    best_model: bytes = b""


def started(
    folder: RunFolder,
    epochs: int | None,
    data_dir: str | None,
    settings: Mapping[str, Any],
    is_frozen: bool,
    say: Say,
    notes: Mapping[str, str],
) -> Setup:
    """A new run, whose folder is created."""
    names = ("batch_size", "learning_rate", "model")
    protocol = find_protocol(folder.dataset, is_frozen, epochs=epochs, **{name: settings[name] for name in names})
    seed, backbone = settings["seed"] or 0, settings["model"]
    arguments: dict[str, Any] = {
        "data_dir": data_dir,
        "batch_size": protocol.batch_size,
        "seed": seed,
        "limit": settings["limit"],
    }
    if backbone and backbone not in (*models.TEXT_MODELS, *models.MODELS):
        side = models.side(backbone)  # an error for an unknown name
        has_size = folder.dataset == "pets" or folder.dataset.startswith("folder:")
        arguments |= {"size": side} if has_size else {}
    keras.utils.set_random_seed(seed)
    data = datasets.load(folder.dataset, **arguments)
    for remark in data.info.remarks:
        say(remark)
    data.check()
    if folder.dataset.startswith("folder:"):
        arguments["size"] = data.info.image_shape[0]  # which further files would change
    model = new_model(protocol, settings["weights"], data)
    record: dict[str, Any] = {"dataset": folder.dataset, "data": arguments, "protocol": asdict(protocol)}
    record |= {"weights": settings["weights"], "seed": seed, **notes}
    if folder.has_checkpoint():
        say(f"the unfinished run in {str(folder.partial)!r} is removed; --resume would have continued it")
    folder.begin(record | {name: getattr(data.info, name) for name in FACTS}, summary(model))
    if data.info.vocabulary:
        folder.write(VOCABULARY, "\n".join(data.info.vocabulary))
    return Setup(model, data, protocol, is_frozen)


def continued(
    folder: RunFolder,
    epochs: int | None,
    data_dir: str | None,
    settings: Mapping[str, Any],
    notes: Mapping[str, str],
) -> Setup:
    """A run after its last finished epoch; ValueError for settings and data that are not those of the run."""
    record, state = folder.resume()
    try:
        protocol = Protocol(**record["protocol"])
        arguments, classes, counts = dict(record["data"]), list(record["classes"]), record["counts"]
        known = {**asdict(protocol), **arguments, "weights": record["weights"], "seed": record["seed"]}
        was = str(record["dataset"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the record of {str(folder.path)!r} is not complete: {error!r}; train again") from error
    if was != folder.dataset and _directory(was) != _directory(folder.dataset):
        raise ValueError(f"the run in {str(folder.path)!r} is of {was!r}, not of {folder.dataset!r}")
    for name, value in settings.items():
        if value is not None and value != known[name]:
            raise ValueError(f"{name}={value!r} is not that of the run, {known[name]!r}, which a resumed run keeps")
    arguments |= {} if data_dir is None else {"data_dir": data_dir}
    keras.utils.set_random_seed(known["seed"])
    data = datasets.load(folder.dataset, **arguments)
    if (list(data.info.classes), data.info.counts) != (classes, counts):
        raise ValueError(f"the data has changed since the run began: {data.info.counts} images instead of {counts}")
    data.check()
    protocol = replace(protocol, epochs=epochs or protocol.epochs)
    folder.write_record({**record, "data": arguments, "protocol": asdict(protocol), **notes})
    is_frozen = record["weights"] not in (None, "none")
    return Setup(state.model, data, protocol, is_frozen, state.history, state.best)


def _directory(dataset: str) -> Path:
    """The folder of images that a data set names."""
    return Path(dataset.partition(":")[2]).expanduser().resolve()


def summary(model: keras.Model) -> str:
    """Keras' summary of a model as text."""
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines)
