"""What a user gives to be asked about, checked: images, targets, a layer. Each mistake is one line."""

import operator

import numpy as np

from keras_actmaps import engine

PREDICTED = -1  # the target that stands for the class the model predicts


def images(given, input_shape: tuple, is_channels_first: bool, name: str) -> np.ndarray:
    """Images (N, ...) -> float32, channels last; ValueError where they do not fit the model of that name."""
    array = engine.to_numpy(given)
    if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise ValueError(f"images of type {array.dtype} are no numbers; give an array {input_shape}")
    wanted = (None, input_shape[-1], *input_shape[1:-1]) if is_channels_first else input_shape
    if not _fits(array.shape, wanted):
        raise ValueError(f"images of shape {array.shape} do not fit {name!r}, which takes "
                         f"{wanted}{_hint(array.shape, wanted)}")  # fmt: skip
    if is_channels_first:
        array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if not array.size:
        raise ValueError(f"no images: shape {array.shape}")
    array = array.astype("float32", copy=False)
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"image {int(np.argmin(finite))} holds NaN or Inf")
    return array


def targets(given, count: int, classes: int | None, name: str):
    """Targets -> int32 (N,) or (N,K), or the function itself; ValueError where they do not fit images or classes."""
    if callable(given):
        return given
    if given is None:
        return np.full(count, PREDICTED, "int32")
    if isinstance(given, str):
        if given != "all" or classes is None:
            raise ValueError(f"no targets {given!r}; give a class, (N,) or (N,K) classes, 'all' or a function")
        return np.tile(np.arange(classes, dtype="int32"), (count, 1))
    asked = engine.to_numpy(given)
    if asked.ndim == 0:
        asked = np.full(count, asked)
    if not np.issubdtype(asked.dtype, np.integer) or asked.ndim > 2 or len(asked) != count:
        raise ValueError(f"targets of shape {asked.shape} and type {asked.dtype} do not fit {count} images; "
                         "give integers (N,) or (N,K)")  # fmt: skip
    outside = asked[(asked < 0) | (asked >= (classes or np.inf))]
    if outside.size:
        raise ValueError(f"no class {outside[0]}; {name!r} has the classes 0 to {(classes or 0) - 1}")
    return asked.astype("int32")


def layer(given, names: list[str], graph, model):
    """A layer as `Probe` takes it -> its path among `names`, or a list of paths; None where there are no names."""
    if given is None:
        return names[-1] if names else None
    if isinstance(given, (list, tuple)):
        return [layer(one, names, graph, model) for one in given]
    given = last_inside(given if isinstance(given, str) else by_number(given, model), names, graph)
    found = called(given, names)
    if len(found) == 1:
        return found[0]
    if graph.is_opaque:
        raise ValueError(unseen(model.name))
    choices = ", ".join(found or names) or "none"
    raise ValueError(f"{'more than one' if found else 'no spatial'} layer {given!r} in {model.name!r}; "
                     f"there are: {choices}")  # fmt: skip


def by_number(number, model) -> str:
    """The name of a layer by its place among the model's; ValueError for one that there is not."""
    try:
        return model.layers[operator.index(number)].name
    except (IndexError, TypeError):
        raise ValueError(f"no layer {number!r} in {model.name!r}; it has {len(model.layers)} layers") from None


def last_inside(name: str, names: list[str], graph) -> str:
    """A nested model, which is none of the `names`, stands for its last layer; any other name for itself."""
    if name in names or name not in graph.places:
        return name
    return getattr(graph.writer(graph.places[name]), "path", name)


def called(name: str, paths) -> list[str]:
    """The paths that a name stands for: the one that it is, or else those that end with it."""
    return [path for path in paths if path == name] or [path for path in paths if path.rsplit("/", 1)[-1] == name]


def unseen(name: str) -> str:
    """Why a model that is a single step cannot be asked for its layers."""
    return (f"the layers of {name!r} cannot be seen, since what it calls cannot be traced (operations outside Keras, "
            "branches on values); methods that need no layer work")  # fmt: skip


def _fits(shape: tuple, wanted: tuple) -> bool:
    return len(shape) == len(wanted) and all(want in (None, side) for side, want in zip(shape, wanted))


def _hint(shape: tuple, wanted: tuple) -> str:
    """What to do about images of this shape."""
    if len(shape) == len(wanted) - 1:
        return "; for one image give images[None]"
    if len(shape) > 2 and _fits((shape[0], *shape[2:], shape[1]), wanted):
        return "; these have their channels first: give numpy.moveaxis(images, 1, -1)"
    if len(shape) > 2 and _fits((shape[0], shape[-1], *shape[1:-1]), wanted):
        return "; these have their channels last: give numpy.moveaxis(images, -1, 1)"
    return ""
