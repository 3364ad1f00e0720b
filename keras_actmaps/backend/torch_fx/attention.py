"""`torch.nn.MultiheadAttention` in separate steps, which torch.fx can trace."""

from typing import Any

import torch
from torch.nn import functional


class UnfusedAttention(torch.nn.Module):
    """A `MultiheadAttention` on the same parameters, in steps that torch.fx records.

    Heads have an axis of their own before that of the heads, of length 1, so that their tensors do not have the four
    axes of images.
    """

    def __init__(self, module: Any):
        super().__init__()
        self.in_proj_weight, self.in_proj_bias = module.in_proj_weight, module.in_proj_bias
        self.out_proj = module.out_proj
        self.heads, self.batch_first = module.num_heads, module.batch_first
        self.size, self.scale = module.embed_dim, module.head_dim**-0.5

    def forward(self, query: Any, key: Any, value: Any, need_weights: bool = True) -> tuple[Any, Any]:
        """The outputs and the attention averaged over the heads; an error for masks, with which it is not traced."""
        tokens = (query, key, value) if self.batch_first else [part.transpose(0, 1) for part in (query, key, value)]
        q, k, v = (self._heads(number, part) for number, part in enumerate(tokens))
        scores = torch.matmul(q, k.transpose(-2, -1)) * self.scale
        attention = torch.softmax(scores, -1)
        outputs = torch.matmul(attention, v).permute(0, 3, 1, 2, 4).flatten(2)
        outputs = functional.linear(outputs, self.out_proj.weight, self.out_proj.bias)
        return outputs if self.batch_first else outputs.transpose(0, 1), attention.mean(2)[:, 0]

    def _heads(self, number: int, tokens: Any) -> Any:
        """The queries, keys or values (N, 1, heads, T, size), by their number."""
        rows = slice(number * self.size, (number + 1) * self.size)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[rows]
        part = functional.linear(tokens, self.in_proj_weight[rows], bias)
        return part.unflatten(-1, (1, self.heads, -1)).permute(0, 2, 3, 1, 4)


def unfused(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of an inference copy of a module whose plain attentions are in steps."""
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = UnfusedAttention(child) if is_plain_attention(child) else unfused(child)
    return module


def has_attention(module: torch.nn.Module) -> bool:
    """Whether a module contains an attention that can be in steps."""
    return any(map(is_plain_attention, module.modules()))


def is_plain_attention(module: Any) -> bool:
    """Whether this is a `MultiheadAttention` of one size without tokens of its own."""
    return (
        type(module) is torch.nn.MultiheadAttention
        and module._qkv_same_embed_dim
        and module.bias_k is None
        and not module.add_zero_attn
    )
