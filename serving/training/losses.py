"""What the heads of the customer network are trained on, with outcomes that are not yet known left out.

Called by ``serving.training.fit``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

UNKNOWN: Final = -1.0
"""A label whose window ends after the data."""

SOFTMAX_SCALE: Final = 12.0
"""Cosines lie in [-1, 1]; times this they can single out one of four thousand items."""


class Targets(NamedTuple):
    """Labels of B examples."""

    bought: Tensor
    """float[B, 3]: 1 for a purchase between the former horizon and this one, 0 for none, -1 unknown."""
    next_items: Tensor
    """int[B, K]: rows of the item table that the next basket holds, -1 for none."""


def churn_loss(hazard: Tensor, bought: Tensor) -> Tensor:
    """Negative log likelihood of a discrete-time hazard (Singer, Willett 1993): an interval counts until the first
    purchase in it."""
    still = torch.cumprod(torch.cat([torch.ones_like(bought[:, :1]), (bought[:, :-1] == 0).float()], dim=1), dim=1)
    counted = still * (bought >= 0).float()
    loss = functional.binary_cross_entropy_with_logits(hazard, bought.clamp(min=0), reduction="none")
    return (loss * counted).sum() / counted.sum().clamp(min=1)


def next_item_loss(query: Tensor, items: Tensor, popularity: Tensor, next_items: Tensor) -> Tensor:
    """Softmax over all items of the table, mean over the items of the next basket.

    Args:
        query: float[B, D].
        items: float[N, D], unit vectors.
        popularity: float[N], added to the cosines.
        next_items: int[B, K], -1 for none.
    """
    logits = SOFTMAX_SCALE * (functional.normalize(query, dim=1) @ items.T + popularity)
    picked = torch.gather(functional.log_softmax(logits, dim=1), 1, next_items.clamp(min=0))
    present = (next_items >= 0).float()
    per_example = (picked * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)
    has_basket = (present.sum(dim=1) > 0).float()
    return -(per_example * has_basket).sum() / has_basket.sum().clamp(min=1)
