"""The attention of PyTorch in separate steps, which torch.fx can trace and attributions can read."""

from typing import Any

import torch
from torch import fx
from torch.nn import functional

LOWEST_SCORE = -0.7 * 3.4028234663852886e38  # of a masked pair of tokens, as in Keras: its exponential is exactly 0


@fx.wrap
def masked_scores(scores: Any, mask: Any, true_is_kept: bool, heads: int | None = None) -> Any:
    """Scores of attention under a mask: of kept or of hidden pairs, or added to the scores; without -inf.

    A query whose keys are all hidden attends to all of them equally; PyTorch returns 0 or NaN there.

    Parameters
    ----------
    scores : tensor of shape (..., T, S)
    mask : tensor or "causal"
        Broadcastable to the scores.
    true_is_kept : bool
        Whether True marks the pairs that attend, as for `scaled_dot_product_attention`, or those that do not.
    heads : int, optional
        That a mask (N heads, T, S) is divided into, for scores (N, 1, heads, T, S).
    """
    if mask is None:
        return scores
    if isinstance(mask, str):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    mask = mask.to(scores.device)
    if heads is not None and mask.dim() == 3:
        mask = mask.unflatten(0, (-1, heads)).unsqueeze(1)
    if mask.dtype == torch.bool:
        return torch.where(mask if true_is_kept else ~mask, scores, LOWEST_SCORE)
    return (scores + mask).clamp(min=LOWEST_SCORE)


def unfused_product(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(scale q k^T + mask) v, as `scaled_dot_product_attention`; an error for settings without such steps."""
    if dropout_p or enable_gqa:
        raise NotImplementedError("attention with dropout or with groups of heads stays one step")
    factor = query.size(-1) ** -0.5 if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal or attn_mask is not None:
        scores = masked_scores(scores, "causal" if is_causal else attn_mask, True)
    return torch.matmul(torch.softmax(scores, -1), value)


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

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """The outputs and the attention, averaged over the heads or not; `is_causal` only describes `attn_mask`."""
        tokens = (query, key, value) if self.batch_first else [part.transpose(0, 1) for part in (query, key, value)]
        q, k, v = (self._heads(number, part) for number, part in enumerate(tokens))
        scores = torch.matmul(q, k.transpose(-2, -1)) * self.scale
        if attn_mask is not None:
            scores = masked_scores(scores, attn_mask, False, self.heads)
        if key_padding_mask is not None:
            scores = masked_scores(scores, key_padding_mask[:, None, None, None], False)
        attention = torch.softmax(scores, -1)
        outputs = torch.matmul(attention, v).permute(0, 3, 1, 2, 4).flatten(2)
        outputs = functional.linear(outputs, self.out_proj.weight, self.out_proj.bias)
        weights = attention.mean(2) if average_attn_weights else attention
        return outputs if self.batch_first else outputs.transpose(0, 1), weights[:, 0]

    def _heads(self, number: int, tokens: Any) -> Any:
        """The queries, keys or values (N, 1, heads, T, size), by their number."""
        rows = slice(number * self.size, (number + 1) * self.size)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[rows]
        part = functional.linear(tokens, self.in_proj_weight[rows], bias)
        return part.unflatten(-1, (1, self.heads, -1)).permute(0, 2, 3, 1, 4)


class UnfusedBlock(torch.nn.Module):
    """A `TransformerEncoderLayer` at inference on the same parameters, in steps."""

    linear1: Any
    linear2: Any
    norm1: Any
    norm2: Any
    norm_first: bool
    activation: Any

    def __init__(self, module: Any):
        super().__init__()
        for name in ("linear1", "linear2", "norm1", "norm2", "norm_first", "activation"):
            setattr(self, name, getattr(module, name))
        self.self_attn = UnfusedAttention(module.self_attn)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """Attention and two dense layers, each normalized before or after."""

        def attend(x: Any) -> Any:
            return self.self_attn(x, x, x, src_key_padding_mask, attn_mask=src_mask)[0]

        def project(x: Any) -> Any:
            return self.linear2(self.activation(self.linear1(x)))

        if self.norm_first:
            src = src + attend(self.norm1(src))
            return src + project(self.norm2(src))
        src = self.norm1(src + attend(src))
        return self.norm2(src + project(src))


class UnfusedEncoder(torch.nn.Module):
    """A `TransformerEncoder` whose layers are in steps."""

    def __init__(self, module: Any):
        super().__init__()
        self.layers: Any = unfused(module.layers)
        self.norm = module.norm

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        """All layers, and the normalization, if there is one."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


def unfused(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of an inference copy of a module whose attentions are in steps, where these can be."""
    if type(module) is torch.nn.TransformerEncoder:
        return UnfusedEncoder(module)
    if type(module) is torch.nn.TransformerEncoderLayer and is_plain_attention(module.self_attn):
        return UnfusedBlock(module)
    if is_plain_attention(module):
        return UnfusedAttention(module)
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = unfused(child)
    return module


def is_plain_attention(module: Any) -> bool:
    """Whether this is a `MultiheadAttention` of one size without tokens of its own."""
    return (
        type(module) is torch.nn.MultiheadAttention
        and module._qkv_same_embed_dim
        and module.bias_k is None
        and not module.add_zero_attn
    )
