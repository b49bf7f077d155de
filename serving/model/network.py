"""The customer network: hazards and value from the profile's statistics, and a query from the last interactions.

The query comes from a small causal transformer and lies in item-vector space. Training adds losses and calibration
around the network; ``serving.export`` turns it into ONNX.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from serving.features import EVENT_CODES
from serving.histories import HISTORY
from serving.item_tower import ITEM_DIMENSIONS
from serving.model.attention import Block, attention_bias
from serving.model.hazards import Hazards
from serving.model.settings import NetworkSettings
from serving.statistics import STATISTICS
from serving.tokens import TOKEN_BUCKETS

_LOG_REVENUE = (0.0, 11.0)
"""Bounds of the log of expected revenue: 1 to 60,000 units of currency."""

_MEDIAN_SHARE = 0.9
_UNLIKELY = 0.45
_MEDIAN_POWER = 0.6
"""The median is so much of the mean, times the probability of buying, beyond ``_UNLIKELY``, to this power: chosen on
four cut-offs from September to December 2010, where it beat a fitted zero-inflated log-normal."""


_BUYS = STATISTICS.index("buys_180d")
_VALUE = STATISTICS.index("value_180d")


class CustomerNetwork(nn.Module):  # type: ignore[misc]  # as in ``attention``
    """See the module."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        self.hazards = Hazards(settings)
        self.words = nn.Embedding(TOKEN_BUCKETS, ITEM_DIMENSIONS, padding_idx=0)
        self.item = nn.Linear(ITEM_DIMENSIONS, width)
        self.event = nn.Embedding(len(EVENT_CODES) + 1, width)
        self.amount = nn.Linear(1, width)
        self.place = nn.Parameter(torch.zeros(HISTORY, width))
        self.blocks = nn.ModuleList(
            Block(width, settings.heads, settings.feed_forward, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, ITEM_DIMENSIONS)
        self.popularity_weight = nn.Parameter(torch.tensor(0.05))
        nn.init.normal_(self.words.weight, std=ITEM_DIMENSIONS**-0.5)
        nn.init.normal_(self.place, std=0.02)
        with torch.no_grad():
            self.words.weight[0].zero_()

    def item_vectors(self, tokens: Tensor) -> Tensor:
        """Unit vectors of items: float[..., ITEM_DIMENSIONS] from int[..., tokens], as ``ItemTower.vectors`` makes
        them."""
        return nn.functional.normalize(self.words(tokens).sum(dim=-2), dim=-1)

    def queries(self, history_tokens: Tensor, history_events: Tensor, history_values: Tensor) -> Tensor:
        """float[B, ITEM_DIMENSIONS]. Shapes as in ``serving.features.FEATURES``; the history may be cut to its newest
        L places."""
        length = history_events.shape[1]
        words = self.words(history_tokens).sum(dim=2)
        amounts = self.amount(history_values[:, :, None])
        hidden = self.item(words) + self.event(history_events) + amounts + self.place[HISTORY - length :]
        bias = attention_bias((history_events > 0).to(hidden.dtype))
        for block in self.blocks[:-1]:
            hidden = block(hidden, bias)
        return self.query(self.norm(self.blocks[-1].newest(hidden, bias)[:, 0]))


class ServedNetwork(nn.Module):  # type: ignore[misc]  # as in ``attention``
    """The network with its calibration, as it is exported: outputs of ``serving.scorer.OUTPUTS``.

    Calibration is Platt's (1999) per horizon on the log-odds of raw churn, then made non-increasing in the horizon;
    the mean revenue is scaled so that its total is right.
    """

    def __init__(self, network: CustomerNetwork, slope: Tensor, intercept: Tensor, revenue_factor: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("slope", slope)
        self.register_buffer("intercept", intercept)
        self.register_buffer("revenue_factor", torch.tensor(revenue_factor))

    def forward(
        self,
        stats: Tensor,
        history_tokens: Tensor,
        history_events: Tensor,
        history_values: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        raw = raw_churn(self.network.hazards(stats))
        query = self.network.queries(history_tokens, history_events, history_values)
        calibrated = torch.sigmoid(self.slope * torch.log(raw / (1.0 - raw)) + self.intercept)
        first, second, third = calibrated[:, 0], calibrated[:, 1], calibrated[:, 2]
        second = torch.minimum(first, second)
        churn = torch.stack([first, second, torch.minimum(second, third)], dim=1)
        mean, median = revenue_of(stats, self.revenue_factor)
        return churn, raw, torch.stack([mean, median], dim=1), query


def raw_churn(hazard: Tensor) -> Tensor:
    """Probability of no purchase within each horizon: float[B, 3], the running product of ``1 - hazard``, off 0 and
    1."""
    survived = torch.sigmoid(-hazard)
    first, second, third = survived[:, 0], survived[:, 1], survived[:, 2]
    return torch.stack([first, first * second, first * second * third], dim=1).clamp(1e-5, 1.0 - 1e-5)


def revenue_of(stats: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and median of the revenue of 180 days, each float[B]: the profile's index of value, on the shop's level.

    The median is 0 where buying is unlikely.
    """
    mean = torch.exp((stats[:, _VALUE] + torch.log(factor)).clamp(*_LOG_REVENUE))
    beyond = ((torch.sigmoid(stats[:, _BUYS]) - _UNLIKELY) / (1.0 - _UNLIKELY)).clamp(min=1e-6)
    median = _MEDIAN_SHARE * mean * torch.exp(_MEDIAN_POWER * torch.log(beyond))
    return mean, torch.where(beyond > 1e-5, median, torch.zeros_like(median))
