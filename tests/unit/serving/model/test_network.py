"""The customer network: what it may see, and what its heads mean."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.item_tower import quantised_queries
from serving.model.attention import Block, attention_bias
from serving.model.network import raw_churn, revenue_of
from serving.outlook import HAZARDS
from serving.statistics import STATISTICS
from tests.unit.serving.small_network import CATALOGUE, inputs, network


def test_a_history_cut_to_its_newest_part_gives_the_same_answer_as_the_padded_one():
    made = {name: torch.from_numpy(array) for name, array in inputs(3).items()}
    longest = int((made["history_events"] > 0).sum(dim=1).max())
    del made["stats"]
    cut = {name: array[:, -longest:] for name, array in made.items()}
    assert longest < 64
    with torch.no_grad():
        assert torch.allclose(network().queries(**made), network().queries(**cut), atol=1e-5)


def test_the_network_is_blind_to_padding():
    made = {name: torch.from_numpy(array) for name, array in inputs(4).items()}
    empty = made["history_events"] == 0
    del made["stats"]
    noisy = dict(made)
    noisy["history_values"] = made["history_values"] + 7.0 * empty
    noisy["history_tokens"] = made["history_tokens"] + 5 * empty[:, :, None].int()
    with torch.no_grad():
        assert torch.allclose(network().queries(**made), network().queries(**noisy), atol=1e-5)


def test_the_newest_place_of_a_block_is_that_of_the_whole_block():
    torch.manual_seed(3)
    block, hidden = Block(16, 2, 32, dropout=0.0), torch.randn(4, 9, 16)
    bias = attention_bias((torch.arange(9) >= torch.tensor([[0], [3], [8], [9]])).float())
    with torch.no_grad():
        assert torch.allclose(block.newest(hidden, bias), block(hidden, bias)[:, -1:], atol=1e-6)


def test_before_training_the_hazards_are_those_of_the_outlook():
    stats = torch.from_numpy(inputs(5)["stats"])
    outlook = stats[:, [STATISTICS.index(name) for name in HAZARDS]]
    with torch.no_grad():
        assert torch.allclose(network().hazards(stats), outlook, atol=1e-5)


def test_a_statistic_beyond_anything_seen_counts_as_its_edge():
    stats = torch.from_numpy(inputs(8)["stats"])
    trained = network()
    trained.hazards.standardise_by(stats)
    torch.nn.init.normal_(trained.hazards.straight)
    beyond, edge = stats[:1].clone(), stats[:1].clone()
    column = STATISTICS.index("revenue")
    beyond[0, column], edge[0, column] = 12.0, stats[:, column].max()
    with torch.no_grad():
        assert torch.allclose(trained.hazards(beyond), trained.hazards(edge))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3))
def test_raw_churn_falls_with_the_horizon_and_stays_off_the_ends(hazard):
    churn = raw_churn(torch.tensor([hazard]))[0].tolist()
    assert 0 < churn[2] <= churn[1] <= churn[0] < 1


@settings(max_examples=40, deadline=None)
@given(st.floats(-8, 8), st.floats(-2, 12), st.floats(0.5, 2))
def test_the_median_lies_below_the_mean_and_is_nothing_where_buying_is_unlikely(buys, value, factor):
    stats = torch.zeros(1, len(STATISTICS))
    stats[0, STATISTICS.index("buys_180d")], stats[0, STATISTICS.index("value_180d")] = buys, value
    mean, median = (float(part) for part in revenue_of(stats, torch.tensor(factor)))
    assert mean == pytest.approx(min(max(factor * np.exp(value), 1.0), np.exp(11)), rel=1e-4)
    assert 0 <= median < mean
    assert (median == 0) == (1 / (1 + np.exp(-buys)) < 0.45) or abs(1 / (1 + np.exp(-buys)) - 0.45) < 1e-4


def test_item_vectors_of_the_network_and_of_the_tower_agree():
    from serving.item_tower import ItemTower

    torch_vectors = network().item_vectors(torch.from_numpy(CATALOGUE.tokens[:-1].astype(np.int64))).detach().numpy()
    embeddings = network().words.weight.detach().numpy().astype(np.float16)
    tower = ItemTower(embeddings)
    assert np.abs(tower.vectors(CATALOGUE.tokens[:-1]) / 127 - torch_vectors).max() < 0.01
    assert quantised_queries(torch_vectors).shape == torch_vectors.shape
