"""`nn.MultiheadAttention` with its projections as layers of their own, which are called and may become compact."""

import torch
import torch.nn.functional as F
from torch import nn


def has_plain_projections(attention: nn.MultiheadAttention) -> bool:
    """Whether nothing is added to keys and values, and queries, keys and values have one width."""
    added = attention.bias_k is not None or attention.add_zero_attn
    return not added and attention.in_proj_weight is not None


class Attention(nn.Module):
    """The same arguments and answers as `nn.MultiheadAttention` in eval mode (Vaswani et al. 2017, section 3.2.2)."""

    batch_first: bool
    num_heads: int
    head_dim: int

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        width, has_bias = attention.embed_dim, attention.in_proj_bias is not None
        self.query, self.key, self.value = (nn.Linear(width, width, bias=has_bias) for _ in range(3))
        self.out_proj = nn.Linear(width, width, bias=attention.out_proj.bias is not None)
        with torch.no_grad():
            for index, layer in enumerate((self.query, self.key, self.value)):
                layer.weight.copy_(attention.in_proj_weight.chunk(3)[index])
                if has_bias:
                    layer.bias.copy_(attention.in_proj_bias.chunk(3)[index])
            self.out_proj.load_state_dict(attention.out_proj.state_dict())

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = True,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(N, L, E), or (L, N, E), or (L, E) without a batch; with weights (N, L, S), or (N, heads, L, S) of each."""
        is_batch = query.dim() == 3
        if not is_batch:
            query, key, value = (each.unsqueeze(0) for each in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (each.transpose(0, 1) for each in (query, key, value))
        projected = self.query(query), self.key(key), self.value(value)
        q, k, v = (each.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for each in projected)
        mask = _additive(attn_mask, key_padding_mask, q)
        weights = None
        if need_weights:
            scores = q @ k.transpose(-1, -2) * self.head_dim**-0.5
            weights = torch.softmax(scores if mask is None else scores + mask, -1)
            answer = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            answer = F.scaled_dot_product_attention(q, k, v, mask, scale=self.head_dim**-0.5)
        answer = self.out_proj(answer.transpose(1, 2).flatten(-2))
        if not is_batch:
            return answer.squeeze(0), None if weights is None else weights.squeeze(0)
        return answer if self.batch_first else answer.transpose(0, 1), weights


def _additive(attention: torch.Tensor | None, padding: torch.Tensor | None, q: torch.Tensor) -> torch.Tensor | None:
    """What is added to scores (N, heads, L, S): masks of booleans are true where nothing may be read."""
    masks = []
    if attention is not None:
        per_head = attention.unflatten(0, (len(q), -1)) if attention.dim() == 3 else attention
        masks.append(_numbers(per_head, q))
    if padding is not None:
        masks.append(_numbers(padding, q)[:, None, None, :])
    return sum(masks[1:], masks[0]) if masks else None


def _numbers(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
