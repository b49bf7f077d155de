"""The customer network: what it may see, and what its heads mean."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.item_tower import quantised_queries
from serving.model.network import Heads, raw_churn, revenue_of
from tests.unit.serving.small_network import CATALOGUE, inputs, network


def test_a_history_cut_to_its_newest_part_gives_the_same_answer_as_the_padded_one():
    made = {name: torch.from_numpy(array) for name, array in inputs(3).items()}
    longest = int((made["history_events"] > 0).sum(dim=1).max())
    cut = {name: array if name == "stats" else array[:, -longest:] for name, array in made.items()}
    assert longest < 64
    with torch.no_grad():
        for whole, part in zip(network()(**made), network()(**cut), strict=True):
            assert torch.allclose(whole, part, atol=1e-5)


def test_the_network_is_blind_to_padding():
    made = {name: torch.from_numpy(array) for name, array in inputs(4).items()}
    empty = made["history_events"] == 0
    noisy = dict(made)
    noisy["history_values"] = made["history_values"] + 7.0 * empty
    noisy["history_tokens"] = made["history_tokens"] + 5 * empty[:, :, None].int()
    with torch.no_grad():
        for clean, disturbed in zip(network()(**made), network()(**noisy), strict=True):
            assert torch.allclose(clean, disturbed, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3))
def test_raw_churn_falls_with_the_horizon_and_stays_off_the_ends(hazard):
    churn = raw_churn(torch.tensor([hazard]))[0].tolist()
    assert 0 < churn[2] <= churn[1] <= churn[0] < 1


@settings(max_examples=40, deadline=None)
@given(st.floats(-4, 4), st.floats(0, 11), st.floats(0.3, 1.5))
def test_mean_and_median_are_those_of_the_zero_inflated_log_normal(buys, location, scale):
    heads = Heads(
        torch.zeros(1, 3), torch.tensor([buys]), torch.tensor([location]), torch.tensor([scale]), torch.zeros(1, 32)
    )
    mean, median = revenue_of(heads)
    random = np.random.default_rng(1)
    bought = random.random(200_000) < 1 / (1 + np.exp(-buys))
    drawn = np.where(bought, np.exp(random.normal(location, scale, 200_000)), 0.0)
    assert float(mean) == pytest.approx(drawn.mean(), rel=0.12)
    if abs(buys) > 0.3:
        assert float(median) == pytest.approx(np.median(drawn), rel=0.12, abs=0.01)


def test_item_vectors_of_the_network_and_of_the_tower_agree():
    from serving.item_tower import ItemTower

    torch_vectors = network().item_vectors(torch.from_numpy(CATALOGUE.tokens[:-1].astype(np.int64))).detach().numpy()
    embeddings = network().words.weight.detach().numpy().astype(np.float16)
    tower = ItemTower(embeddings, np.array([], np.uint64), np.array([], np.float16), 0.0)
    assert np.abs(tower.vectors(CATALOGUE.tokens[:-1]) / 127 - torch_vectors).max() < 0.01
    assert quantised_queries(torch_vectors).shape == torch_vectors.shape
