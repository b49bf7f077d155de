"""The customer network: a small causal transformer over the last interactions, joined with the profile's statistics.

Heads: churn hazard per horizon, revenue of 180 days as a zero-inflated log-normal, and a query in item-vector space.
    Training adds losses and calibration around it; ``serving.export`` turns it into ONNX.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from serving.features import EVENT_CODES
from serving.histories import HISTORY
from serving.item_tower import ITEM_DIMENSIONS
from serving.model.attention import Block, attention_bias
from serving.model.settings import NetworkSettings
from serving.model_card import HORIZONS_DAYS
from serving.statistics import STATISTICS
from serving.tokens import TOKEN_BUCKETS

_SIGMA = (0.3, 1.5)
"""Bounds of the log-normal's scale. At 1.5 the mean is three times the median; above, it follows single outliers."""

_LOG_REVENUE = (0.0, 11.0)
"""Bounds of the log-normal's location: 1 to 60,000 units of currency."""

_MEDIAN_QUANTILE_SCALE = 1.702
"""The logistic quantile over this is the normal one to 0.01 (Camilli 1994); ONNX has no inverse error function."""


class Heads(NamedTuple):
    """What the network says of each of B customers, before calibration."""

    hazard: Tensor
    """float[B, 3]: logit of buying between the former horizon and this one, given no purchase until then."""
    buys: Tensor
    """float[B]: logit of any revenue in 180 days."""
    location: Tensor
    """float[B]: mean of the log of revenue, given any."""
    scale: Tensor
    """float[B]: its standard deviation."""
    query: Tensor
    """float[B, ITEM_DIMENSIONS]."""


class CustomerNetwork(nn.Module):  # type: ignore[misc]  # as in ``attention``
    """See the module. The four buffers of statistics are set from the training set before the first step."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        self.words = nn.Embedding(TOKEN_BUCKETS, ITEM_DIMENSIONS, padding_idx=0)
        self.item = nn.Linear(ITEM_DIMENSIONS, width)
        self.event = nn.Embedding(len(EVENT_CODES) + 1, width)
        self.measures = nn.Linear(3, width)
        self.place = nn.Parameter(torch.zeros(HISTORY, width))
        self.blocks = nn.ModuleList(
            Block(width, settings.heads, settings.feed_forward, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.register_buffer("statistics_mean", torch.zeros(len(STATISTICS)))
        self.register_buffer("statistics_scale", torch.ones(len(STATISTICS)))
        # What lies beyond anything seen in training is taken for its edge, not extrapolated.
        self.register_buffer("statistics_least", torch.full((len(STATISTICS),), -math.inf))
        self.register_buffer("statistics_most", torch.full((len(STATISTICS),), math.inf))
        self.statistics = nn.Sequential(nn.Linear(len(STATISTICS), width), nn.GELU(), nn.Dropout(settings.dropout))
        self.joint = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Dropout(settings.dropout))
        # Each head also sees the statistics directly: with few customers the linear part does most of the work.
        self.churn = nn.Linear(width + len(STATISTICS), len(HORIZONS_DAYS))
        self.revenue = nn.Linear(width + len(STATISTICS), 3)
        self.query = nn.Linear(2 * width, ITEM_DIMENSIONS)
        self.popularity_weight = nn.Parameter(torch.tensor(0.05))
        nn.init.normal_(self.words.weight, std=ITEM_DIMENSIONS**-0.5)
        nn.init.normal_(self.place, std=0.02)
        with torch.no_grad():
            self.words.weight[0].zero_()

    def item_vectors(self, tokens: Tensor) -> Tensor:
        """Unit vectors of items: float[..., ITEM_DIMENSIONS] from int[..., tokens], as ``ItemTower.vectors`` makes
        them."""
        return nn.functional.normalize(self.words(tokens).sum(dim=-2), dim=-1)

    def forward(
        self,
        stats: Tensor,
        history_tokens: Tensor,
        history_events: Tensor,
        history_gaps: Tensor,
        history_values: Tensor,
    ) -> Heads:
        """Shapes as in ``serving.features.FEATURES``; the history may be cut to its newest L places."""
        length = history_events.shape[1]
        words = self.words(history_tokens).sum(dim=2)
        measures = torch.cat([history_gaps, history_values[:, :, None]], dim=2)
        hidden = (
            self.item(words) + self.event(history_events) + self.measures(measures) + self.place[HISTORY - length :]
        )
        bias = attention_bias((history_events > 0).to(hidden.dtype))
        for block in self.blocks:
            hidden = block(hidden, bias)
        latest = self.norm(hidden[:, length - 1])

        known = torch.minimum(torch.maximum(stats, self.statistics_least), self.statistics_most)
        standardised = ((known - self.statistics_mean) / self.statistics_scale).clamp(-5.0, 5.0)
        both = torch.cat([latest, self.statistics(standardised)], dim=1)
        wide = torch.cat([self.joint(both), standardised], dim=1)
        revenue = self.revenue(wide)
        return Heads(
            hazard=self.churn(wide),
            buys=revenue[:, 0],
            location=(revenue[:, 1] + 6.0).clamp(*_LOG_REVENUE),
            scale=_SIGMA[0] + (_SIGMA[1] - _SIGMA[0]) * torch.sigmoid(revenue[:, 2]),
            query=self.query(both),
        )


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
        history_gaps: Tensor,
        history_values: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        heads = self.network(stats, history_tokens, history_events, history_gaps, history_values)
        raw = raw_churn(heads.hazard)
        calibrated = torch.sigmoid(self.slope * torch.log(raw / (1.0 - raw)) + self.intercept)
        first, second, third = calibrated[:, 0], calibrated[:, 1], calibrated[:, 2]
        second = torch.minimum(first, second)
        churn = torch.stack([first, second, torch.minimum(second, third)], dim=1)
        mean, median = revenue_of(heads)
        return churn, raw, torch.stack([mean * self.revenue_factor, median], dim=1), heads.query


def raw_churn(hazard: Tensor) -> Tensor:
    """Probability of no purchase within each horizon: float[B, 3], the running product of ``1 - hazard``, off 0 and
    1."""
    survived = torch.sigmoid(-hazard)
    first, second, third = survived[:, 0], survived[:, 1], survived[:, 2]
    return torch.stack([first, first * second, first * second * third], dim=1).clamp(1e-5, 1.0 - 1e-5)


def revenue_of(heads: Heads) -> tuple[Tensor, Tensor]:
    """Mean and median of the zero-inflated log-normal (Wang, Liu, Miao 2019), each float[B].

    The median is 0 where buying is less likely than not.
    """
    probability = torch.sigmoid(heads.buys)
    mean = probability * torch.exp(heads.location + heads.scale * heads.scale / 2.0)
    # The median of the mixture is the quantile of the log-normal at (p - 1/2) / p.
    above = ((probability - 0.5) / probability).clamp(1e-4, 1.0 - 1e-4)
    normal_quantile = torch.log(above / (1.0 - above)) / _MEDIAN_QUANTILE_SCALE
    median = torch.exp(heads.location + heads.scale * normal_quantile)
    return mean, torch.where(probability > 0.5, median, torch.zeros_like(median))
