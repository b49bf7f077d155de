"""Churn hazards from the profile's statistics: an average of small networks, each a departure from the outlook.

The sequence of interactions does not take part: where it did, the ranking of later cut-offs got worse, because what it
adds to the statistics is what does not last. Used by ``serving.model.network``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from serving.model.settings import NetworkSettings
from serving.model_card import HORIZONS_DAYS
from serving.outlook import HAZARDS
from serving.statistics import STATISTICS

_OUTLOOK = STATISTICS.index(HAZARDS[0])
_EDGE = 4.0
"""Standard deviations from the mean at which a statistic is cut off."""


class Hazards(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """Logits of buying between one horizon and the next, given no purchase until then.

    The four buffers of statistics are set from the training set before the first step.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        members, width, size = settings.members, settings.hazard_width, len(STATISTICS)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        # What lies beyond anything seen in training is taken for its edge, not extrapolated.
        self.register_buffer("least", torch.full((size,), -math.inf))
        self.register_buffer("most", torch.full((size,), math.inf))
        # At the start a member says what the outlook says; it learns by how much to depart from it.
        self.straight = nn.Parameter(torch.zeros(members, size, len(HORIZONS_DAYS)))
        self.bias = nn.Parameter(torch.zeros(members, 1, len(HORIZONS_DAYS)))
        self.first = _layer(members, size, width)
        self.first_bias = nn.Parameter(torch.zeros(members, 1, width))
        self.second = _layer(members, width, width)
        self.second_bias = nn.Parameter(torch.zeros(members, 1, width))
        self.last = nn.Parameter(torch.zeros(members, width, len(HORIZONS_DAYS)))
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(settings.hazard_dropout)

    def standardise_by(self, stats: Tensor) -> None:
        """Take mean, scale and bounds from float[N, S]."""
        self.least.copy_(stats.amin(dim=0))
        self.most.copy_(stats.amax(dim=0))
        self.mean.copy_(stats.mean(dim=0))
        self.scale.copy_(stats.std(dim=0).clamp(min=1e-3))

    def standardised(self, stats: Tensor) -> Tensor:
        """float[B, S], within ``_EDGE``."""
        known = torch.minimum(torch.maximum(stats, self.least), self.most)
        return ((known - self.mean) / self.scale).clamp(-_EDGE, _EDGE)

    def members(self, stats: Tensor) -> Tensor:
        """What each member says: float[members, B, 3] from float[B, S]."""
        inputs = self.standardised(stats)
        hidden = self.dropout(self.activation(torch.matmul(inputs, self.first) + self.first_bias))
        hidden = self.dropout(self.activation(torch.matmul(hidden, self.second) + self.second_bias))
        departure = torch.matmul(inputs, self.straight) + self.bias + torch.matmul(hidden, self.last)
        return stats[:, _OUTLOOK : _OUTLOOK + len(HAZARDS)] + departure

    def forward(self, stats: Tensor) -> Tensor:
        """The members' mean: float[B, 3]."""
        return self.members(stats).mean(dim=0)


def _layer(members: int, inputs: int, outputs: int) -> nn.Parameter:
    bound = inputs**-0.5
    return nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
