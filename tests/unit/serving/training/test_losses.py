"""What the heads are trained on."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np
import torch

from serving.training.losses import churn_loss, next_item_loss


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


def test_the_next_item_is_learned_against_all_items():
    items = torch.nn.functional.normalize(torch.randn(20, 32, generator=torch.Generator().manual_seed(1)), dim=1)
    query = items[3:4] * 5
    right = next_item_loss(query, items, torch.zeros(20), torch.tensor([[3, -1]]))
    wrong = next_item_loss(query, items, torch.zeros(20), torch.tensor([[4, -1]]))
    assert float(right) < float(wrong)
    assert float(next_item_loss(query, items, torch.zeros(20), torch.tensor([[-1, -1]]))) == 0.0
