"""Which torch modules, functions and methods become Keras layers of the same meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from keras import layers
from torch import fx
from torch.nn import functional

from keras_actmaps.backend.torch_fx import layers as keras_layers


@dataclass(frozen=True)
class Call:
    """A call to be translated. word: see `words`; source, result: the shapes of its first input and its output in
    torch; is_last, gives_last: whether these are stored channels last; read: a node -> what reads its value at the
    moment, None where it depends on the images; values: what nodes gave when the module was traced."""

    path: str
    word: str
    node: fx.Node
    module: torch.nn.Module | None
    source: tuple
    result: tuple
    is_last: bool
    gives_last: bool
    read: Callable
    values: Mapping

    @property
    def stored(self) -> tuple:
        """The shape of the output as it is stored, without a size of the batch."""
        sides = self.result[1:]
        return (None, *sides[1:], *sides[:1]) if self.gives_last else (None, *sides)

    @property
    def is_one_place(self) -> bool:
        """Whether the output has many channels and a single place."""
        return self.is_last and set(self.result[2:]) <= {1}

    def given(self, position: int, name: str, default=None):
        """An argument of a function or a method, or that of a module's making."""
        if self.module is not None:
            return getattr(self.module, name, default)
        given = self.argument(position, name, default)
        return self.values[given] if isinstance(given, fx.Node) else given

    def argument(self, position: int, name: str, default=None):
        """An argument as torch.fx has it."""
        args = self.node.args
        return args[position] if len(args) > position else self.node.kwargs.get(name, default)


def convolution(site: Call):
    sources = _sources(site)
    if not site.is_last or sources is None:
        return None
    groups = site.source[1] // sources["weight"]().shape[1]
    return keras_layers.convolution(site.path, site.stored, sources, _function(site), groups)


def transposed(site: Call):
    m = site.module
    if m is None or not site.is_last or m.groups != 1 or len(site.node.args) > 1:
        return None
    function = getattr(functional, f"conv_transpose{len(m.kernel_size)}d")
    settings = {"stride": m.stride, "padding": m.padding, "output_padding": m.output_padding, "dilation": m.dilation}
    return keras_layers.transposed(site.path, site.stored, _sources(site), partial(function, **settings))


def dense(site: Call):
    sources = None if site.is_last else _sources(site)
    return sources and keras_layers.dense(site.path, site.stored, sources)


def normalization(site: Call):
    if site.module is None or site.module.running_mean is None or not (site.is_last or len(site.source) == 2):
        return None
    return keras_layers.normalization(site.path, site.stored, site.module)


def pool(site: Call):
    is_whole = site.word.startswith("adaptive") or _window(site) == site.source[2:]
    if not is_whole or not site.is_one_place:
        return None
    return _global_pool(site, keepdims=True)


def mean(site: Call):
    axes = site.given(1, "dim")
    axes = [axes] if isinstance(axes, int) else axes
    if not site.is_last or axes is None or sorted(axis % len(site.source) for axis in axes) != _space(site):
        return None
    return _global_pool(site, keepdims=len(site.result) == len(site.source))


def flatten(site: Call):
    if len(site.result) != 2 or site.result[0] != site.source[0]:
        return None
    if len(site.source) > 2 and not (site.is_last and max(site.source[2:]) > 1):
        return layers.Flatten(data_format="channels_last", name=site.path, dtype="float32")
    return identity(site) if site.source == site.result else None


def permute(site: Call):
    return identity(site) if site.is_last != site.gives_last else None


def identity(site: Call):
    return layers.Identity(name=site.path, dtype="float32")


BUILDERS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("convtranspose1d", "convtranspose2d", "convtranspose3d"), transposed),
    **dict.fromkeys(("batchnorm1d", "batchnorm2d", "batchnorm3d", "syncbatchnorm"), normalization),
    **dict.fromkeys(("adaptiveavgpool1d", "adaptiveavgpool2d", "adaptiveavgpool3d"), pool),
    **dict.fromkeys(("avgpool1d", "avgpool2d", "avgpool3d"), pool),
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze"), flatten),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout"), identity),  # whatever the mode
    **{"linear": dense, "mean": mean, "permute": permute},
}


def _sources(site: Call) -> dict | None:
    """What reads weight and bias; None where they depend on the images."""
    if site.module is not None:
        names = [name for name in ("weight", "bias") if getattr(site.module, name) is not None]
        return {name: partial(getattr, site.module, name) for name in names}
    given = {"weight": site.argument(1, "weight"), "bias": site.argument(2, "bias")}
    sources = {name: site.read(value) for name, value in given.items() if value is not None}
    return None if None in sources.values() else sources


def _function(site: Call) -> Callable:
    if site.module is not None:
        return site.module._conv_forward
    settings = {name: value for name, value in site.node.kwargs.items() if name not in ("input", "weight", "bias")}
    return lambda x, weight, bias: site.node.target(x, weight, bias, *site.node.args[3:], **settings)


def _window(site: Call) -> tuple | None:
    """The window of a pooling without padding."""
    window, padding = site.given(1, "kernel_size"), site.given(3, "padding", 0)
    sides = (window,) * (len(site.source) - 2) if isinstance(window, int) else tuple(window)
    return None if padding not in (0, (0,) * len(sides)) else sides


def _global_pool(site: Call, keepdims: bool):
    cls = keras_layers.POOLS[len(site.source) - 3]
    return cls(data_format="channels_last", keepdims=keepdims, name=site.path, dtype="float32")


def _space(site: Call) -> list[int]:
    return list(range(2, len(site.source)))
