"""What the heads are trained on."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np
import torch

from serving.model.network import Heads
from serving.training.losses import churn_loss, next_item_loss, revenue_loss


def test_a_hazard_counts_until_the_first_purchase_and_only_where_known():
    hazard = torch.tensor([[2.0, -1.0, 0.5]])

    def loss(*bought: float) -> float:
        return float(churn_loss(hazard, torch.tensor([bought], dtype=torch.float32)))

    softplus = np.log1p(np.exp([2.0, -1.0, 0.5]))
    assert loss(0, 0, 0) == pytest.approx(softplus.mean(), rel=1e-4)
    assert loss(1, 0, 0) == pytest.approx(softplus[0] - 2.0, rel=1e-4)
    assert loss(0, 1, 0) == pytest.approx((softplus[0] + softplus[1] + 1.0) / 2, rel=1e-4)
    assert loss(0, -1, -1) == pytest.approx(softplus[0], rel=1e-4)
    assert loss(-1, -1, -1) == 0.0


def test_unknown_revenue_teaches_nothing():
    heads = Heads(torch.zeros(2, 3), torch.zeros(2), torch.tensor([5.0, 1.0]), torch.ones(2), torch.zeros(2, 32))
    known = revenue_loss(Heads(*(part[:1] for part in heads)), torch.tensor([100.0]))
    assert float(revenue_loss(heads, torch.tensor([100.0, -1.0]))) == pytest.approx(float(known))
    assert float(revenue_loss(heads, torch.tensor([-1.0, -1.0]))) == 0.0


def test_the_next_item_is_learned_against_all_items():
    items = torch.nn.functional.normalize(torch.randn(20, 32, generator=torch.Generator().manual_seed(1)), dim=1)
    query = items[3:4] * 5
    right = next_item_loss(query, items, torch.zeros(20), torch.tensor([[3, -1]]))
    wrong = next_item_loss(query, items, torch.zeros(20), torch.tensor([[4, -1]]))
    assert float(right) < float(wrong)
    assert float(next_item_loss(query, items, torch.zeros(20), torch.tensor([[-1, -1]]))) == 0.0
