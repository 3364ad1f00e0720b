"""A Keras graph, channels last, from what torch.fx sees of a module."""

from collections import Counter
from dataclasses import dataclass, field

import keras
import torch
from keras import tree
from torch import fx

from keras_actmaps.backend.torch_fx.converters import BUILDERS, Call, identity
from keras_actmaps.backend.torch_fx.layers import TorchOperation, images_of, last, renamed_class, symbol
from keras_actmaps.backend.torch_fx.names import KERAS, canonical_name, torch_name
from keras_actmaps.backend.torch_fx.trace import Trace, plain


@dataclass
class Translation:
    """The making of a Keras graph from a trace. rank: of the images; symbols: of the tensors that depend on the images;
    is_last: whether these are stored channels last."""

    trace: Trace
    rank: int
    symbols: dict[fx.Node, keras.KerasTensor] = field(default_factory=dict)
    is_last: dict[fx.Node, bool] = field(default_factory=dict)

    def model(self, name: str, shape: tuple) -> keras.Model:
        """The Keras model for images of `shape`, (C,H,W)."""
        image = self.trace.image
        self.symbols[image], self.is_last[image] = images_of(shape), self.rank > 2
        names = _names(self.trace)
        for node, path in names.items():
            self._add(node, path)
        model = keras.Model(self.symbols[image], plain(self.trace.outputs, self._output), name=name)
        model.containers = {path: names[node] for path, node in self.trace.containers.items() if node in names}
        return model

    def _add(self, node: fx.Node, path: str) -> None:
        """Give the node its symbol, by a layer of Keras or by torch itself."""
        site = self._site(node, path)
        self.is_last[node] = site.gives_last
        builder = identity if node in self.trace.relays else BUILDERS.get(site.word)
        is_known = builder and site.source and not getattr(site.module, "_forward_pre_hooks", None)
        layer = builder(site) if is_known else None
        if layer is not None:
            self.symbols[node] = layer(self.symbols[node.args[0]])
            return
        leaves, inner, function = self.trace.expression(node, self.symbols)
        is_last = tuple(self.is_last[leaf] for leaf in leaves)
        stores = last if site.gives_last else lambda part: part
        call = renamed_class(self._word(site, inner), TorchOperation)(path, function, is_last, symbol(site.stored), stores)
        self.symbols[node] = call(*(self.symbols[leaf] for leaf in leaves))

    def _site(self, node: fx.Node, path: str) -> Call:
        """What is known of a node."""
        module = self.trace.module(node)
        givens = [one for one in node.all_input_nodes if one in self.symbols]
        source = node.args[0] if node.args and node.args[0] in givens else None
        return Call(
            path=path,
            word=canonical_name(node, module),
            node=node,
            module=module,
            source=() if source is None else self._shape(source),
            result=self._shape(node),
            is_last=self.is_last.get(source, False),
            gives_last=self._gives_last(node, givens),
            read=self._read,
            values=self.trace.values,
        )

    def _gives_last(self, node: fx.Node, givens: list) -> bool:
        """Whether an output is stored channels last: as the first input of as many axes, if it is an image at all."""
        if self.rank < 3 or len(self._shape(node)) != self.rank:
            return False
        was = next((self.is_last[one] for one in givens if len(self._shape(one)) == self.rank), True)
        to_last, to_first = (0, *range(2, self.rank), 1), (0, self.rank - 1, *range(1, self.rank - 1))
        return not was if _permutation(node, self.rank) == (to_last if was else to_first) else was

    def _shape(self, node: fx.Node) -> tuple:
        return tuple(self.trace.values[node].shape)

    def _read(self, argument):
        """What reads an argument's value at the moment; None for one that depends on the images."""
        if not isinstance(argument, fx.Node) or argument in self.trace.depends:
            return None
        return self.trace.expression(argument, ())[2]

    def _word(self, site: Call, inner: list) -> str:
        """Keras' name for what torch does; torch's own where Keras has none."""
        wide = [node for node in inner if _holds_tensors(self.trace.values[node]) and node in self.trace.depends]
        words = {KERAS.get(canonical_name(node, self.trace.module(node))) for node in wide}
        if words <= {"Split"} and site.word in KERAS:
            return KERAS[site.word]
        node = wide[-1] if wide else site.node
        return torch_name(node, self.trace.module(node))

    def _output(self, node: fx.Node):
        """The symbol of an output, channels last."""
        if self.is_last[node] or len(self._shape(node)) != self.rank or self.rank < 3:
            return self.symbols[node]
        shape = torch.empty(self._shape(node), device="meta").movedim(1, -1).shape
        return renamed_class("Transpose", TorchOperation)(f"{node.name}@last", last, (False,), symbol(shape), lambda part: part)(
            self.symbols[node]
        )


def _names(trace: Trace) -> dict[fx.Node, str]:
    """The tensors that depend on the images and what they are called: by the path of the module that gives them, or the
    name of the function inside the path of the module around it. Of several calls the last has this name, those before
    it have path@1, path@2, ..."""
    bases = {node: _base(node) for node in trace.nodes if node in trace.depends and _is_tensor(trace.values[node])}
    bases.pop(trace.image)
    counts, seen, names = Counter(bases.values()), Counter(), {}
    for node, base in bases.items():
        seen[base] += 1
        names[node] = base if seen[base] == counts[base] else f"{base}@{seen[base]}"
    return names


def _base(node: fx.Node) -> str:
    if node.op == "call_module":
        return node.target
    given = next(iter(node.args), None)
    if torch_name(node, None) == "getitem" and isinstance(given, fx.Node) and given.op == "call_module":
        return given.target
    return ".".join([*list(node.meta.get("nn_module_stack", {}))[-1:], torch_name(node, None)])


def _permutation(node: fx.Node, rank: int) -> tuple | None:
    """The axes that a node permutes."""
    if canonical_name(node, None) != "permute":
        return None
    axes = node.kwargs.get("dims") or (node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:])
    return tuple(axis % rank for axis in axes)


def _is_tensor(value) -> bool:
    return isinstance(value, torch.Tensor)


def _holds_tensors(value) -> bool:
    return any(map(_is_tensor, tree.flatten(value)))
