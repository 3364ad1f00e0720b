"""What torch's modules, functions and methods are called in Keras, by which rules know them."""

import torch
from torch import fx

_SAME = """ReLU LeakyReLU PReLU ELU Selu Celu Gelu Silu Mish Sigmoid HardSigmoid LogSigmoid Tanh HardTanh Softplus
    Softsign SoftShrink HardShrink TanhShrink Threshold Softmax LogSoftmax Identity Flatten Reshape Permute Transpose
    Squeeze Swapaxes Moveaxis Stack Split GetItem Pad Flip Add Subtract Multiply Divide Negative Maximum Minimum Amax
    Sum"""
KERAS = {
    **{word.lower(): word for word in _SAME.split()},
    **dict.fromkeys(("relu6", "rrelu"), "ReLU"),
    **dict.fromkeys(("hardswish", "swish"), "HardSilu"),
    **dict.fromkeys(("clamp", "clip"), "Clip"),
    **dict.fromkeys(("softmax2d",), "Softmax"),
    **dict.fromkeys(("maxpool1d", "maxpool2d", "maxpool3d"), "MaxPooling"),
    **dict.fromkeys(("adaptivemaxpool1d", "adaptivemaxpool2d", "adaptivemaxpool3d"), "MaxPooling"),
    **dict.fromkeys(("avgpool1d", "avgpool2d", "avgpool3d", "mean"), "AveragePooling"),
    **dict.fromkeys(("adaptiveavgpool1d", "adaptiveavgpool2d", "adaptiveavgpool3d"), "AveragePooling"),
    **dict.fromkeys(("upsample", "interpolate", "upsamplingnearest2d", "upsamplingbilinear2d"), "UpSampling"),
    **dict.fromkeys(("view", "unflatten", "unsqueeze", "pixelshuffle", "pixelunshuffle", "channelshuffle"), "Reshape"),
    **dict.fromkeys(("movedim", "swapdims", "t"), "Transpose"),
    **dict.fromkeys(("cat", "concat", "concatenate"), "Concatenate"),
    **dict.fromkeys(("chunk", "tensorsplit", "unbind", "narrow", "select"), "Split"),
    **dict.fromkeys(("expand", "expandas"), "BroadcastTo"),
    **dict.fromkeys(("contiguous", "clone", "float", "to", "typeas"), "Identity"),
    **dict.fromkeys(("zeropad1d", "zeropad2d", "zeropad3d", "reflectionpad2d", "replicationpad2d"), "Pad"),
    **{"sub": "Subtract", "rsub": "Subtract", "mul": "Multiply", "div": "Divide", "truediv": "Divide"},
    **{"neg": "Negative", "negative": "Negative"},
}  # fmt: skip


def canonical_name(node: fx.Node, module: torch.nn.Module | None) -> str:
    """What a node calls, in small letters: "conv2d" for a module as for a function; "" for what is not torch's own."""
    home = type(module).__module__ if module else getattr(node.target, "__module__", None) or "torch"
    if not home.startswith(("torch.nn", "torch.functional", "torch._", "_operator")) and home != "torch":
        return ""
    return torch_name(node, module).lower().replace("_", "").removeprefix("parametrized")


def torch_name(node: fx.Node, module: torch.nn.Module | None) -> str:
    """What a node calls, as torch spells it."""
    if module:
        return type(module).__name__
    return node.target if node.op == "call_method" else getattr(node.target, "__name__", "operation")
