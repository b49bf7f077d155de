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
        return self._attended(hidden, hidden, bias)

    def newest(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """What ``forward`` says of the newest place, float[B, 1, width], without the work for those before it."""
        return self._attended(hidden[:, -1:], hidden, bias[:, :, -1:])

    def _attended(self, asking: Tensor, hidden: Tensor, bias: Tensor) -> Tensor:
        """The places ``asking``, float[B, Q, width], after they looked at ``hidden``, float[B, L, width].

        ``bias`` is float[B, 1, Q, L].
        """
        width = hidden.shape[2]
        weight, offset = self.project.weight, self.project.bias
        query = nn.functional.linear(self.attention_norm(asking), weight[:width], offset[:width])
        key, value = nn.functional.linear(self.attention_norm(hidden), weight[width:], offset[width:]).chunk(2, dim=-1)
        size = width // self.heads
        scores = self._by_head(query) @ self._by_head(key).transpose(2, 3) / size**0.5
        weights = torch.softmax(scores + bias, dim=-1)
        mixed = (weights @ self._by_head(value)).transpose(1, 2).flatten(2)
        asking = asking + self.dropout(self.merge(mixed))
        return asking + self.dropout(self.feed(self.feed_norm(asking)))

    def _by_head(self, each: Tensor) -> Tensor:
        """float[B, heads, L, width / heads] of float[B, L, width]."""
        return each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
