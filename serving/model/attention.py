"""One block of a causal transformer, written with plain tensor operations so that it exports to any ONNX runtime.

Used by ``serving.model.network`` alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MASKED = -1e4
"""Added to a masked score: nothing is left after the softmax, and it still holds in fp16."""


def attention_bias(valid: Tensor) -> Tensor:
    """What is added to the scores so that a place sees only itself and the valid places before it.

    Args:
        valid: float[B, L], 1 where there is an interaction and 0 where there is padding.

    Returns:
        float[B, 1, L, L]. A place always sees itself, so that a history without interactions gives numbers, not NaN.
    """
    length = valid.shape[1]
    earlier = torch.tril(torch.ones(length, length, device=valid.device), diagonal=-1)
    itself = torch.eye(length, device=valid.device)
    seen = earlier[None] * valid[:, None, :] + itself[None]
    return ((1.0 - seen) * _MASKED)[:, None]


class Block(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """Pre-norm self-attention and feed-forward with residuals: float[B, L, width] to the same."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, feed_forward), nn.GELU(), nn.Linear(feed_forward, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        size = width // self.heads
        query, key, value = self.project(self.attention_norm(hidden)).chunk(3, dim=-1)
        query = query.reshape(batch, length, self.heads, size).transpose(1, 2)
        key = key.reshape(batch, length, self.heads, size).transpose(1, 2)
        value = value.reshape(batch, length, self.heads, size).transpose(1, 2)
        weights = torch.softmax(query @ key.transpose(2, 3) / size**0.5 + bias, dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        hidden = hidden + self.dropout(self.merge(mixed))
        return hidden + self.dropout(self.feed(self.feed_norm(hidden)))
