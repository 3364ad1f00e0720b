"""The names under which propagation rules know PyTorch's modules, functions and methods: those of Keras' classes."""

import torch
from torch import fx

_SAME_NAME = """
    ReLU LeakyReLU PReLU ELU Selu Celu Gelu Silu Mish Sigmoid HardSigmoid LogSigmoid Tanh HardTanh Softplus Softsign
    SoftShrink HardShrink TanhShrink Threshold Softmax LogSoftmax Identity Flatten Reshape Permute Transpose Squeeze
    Swapaxes Moveaxis Stack Split GetItem Pad Flip Add Subtract Multiply Divide Negative Maximum Minimum Amax Sum
"""
_ALIASES = {
    "ReLU": "relu6 rrelu",
    "HardSilu": "hardswish swish",
    "Clip": "clamp clip",
    "Softmax": "softmax2d",
    "MaxPooling": "maxpool1d maxpool2d maxpool3d adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d",
    "AveragePooling": "avgpool1d avgpool2d avgpool3d mean adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d",
    "UpSampling": "upsample interpolate upsamplingnearest2d upsamplingbilinear2d",
    "Reshape": "view unflatten unsqueeze pixelshuffle pixelunshuffle channelshuffle",
    "Transpose": "movedim swapdims t",
    "Concatenate": "cat concat concatenate",
    "Split": "chunk tensorsplit unbind narrow select",
    "BroadcastTo": "expand expandas",
    "Identity": "contiguous clone float to typeas",
    "Pad": "zeropad1d zeropad2d zeropad3d reflectionpad2d replicationpad2d",
    "Subtract": "sub rsub",
    "Multiply": "mul",
    "Divide": "div truediv",
    "Negative": "neg negative",
}
KERAS_NAMES = {name.lower(): name for name in _SAME_NAME.split()}  # canonical name in PyTorch -> name in Keras
KERAS_NAMES |= {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}
TORCH_MODULES = ("torch.nn", "torch.functional", "torch._", "_operator")  # where PyTorch's own operations are defined


def canonical_name(node: fx.Node, module: torch.nn.Module | None) -> str:
    """The name of the call of a node, in lower case without underscores; "" if PyTorch does not define it.

    A module and the function of the same meaning have one name: "conv2d".
    """
    defined_in = type(module).__module__ if module else getattr(node.target, "__module__", None) or "torch"
    if not defined_in.startswith(TORCH_MODULES) and defined_in != "torch":
        return ""
    return torch_name(node, module).lower().replace("_", "").removeprefix("parametrized")


def torch_name(node: fx.Node, module: torch.nn.Module | None) -> str:
    """The name of the call of a node, in PyTorch's spelling."""
    if module:
        return type(module).__name__
    return str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "operation")
