import numpy as np
import pytest

from serving.item_tower import (
    ITEM_DIMENSIONS,
    QUERY_STEPS,
    ItemTower,
    quantised_queries,
    read_item_tower,
    write_item_tower,
)
from serving.tokens import TOKEN_BUCKETS


def tower(buckets: int = TOKEN_BUCKETS) -> ItemTower:
    embeddings = np.random.default_rng(3).normal(size=(buckets, ITEM_DIMENSIONS)).astype(np.float16)
    return ItemTower(embeddings)


def test_what_is_written_is_read(tmp_path):
    write_item_tower(tmp_path / "tower.npz", tower())
    again = read_item_tower(tmp_path / "tower.npz")
    assert np.array_equal(again.embeddings, tower().embeddings)


def test_a_tower_of_another_tokeniser_is_refused(tmp_path):
    write_item_tower(tmp_path / "tower.npz", tower(buckets=16))
    with pytest.raises(ValueError, match="export the model again"):
        read_item_tower(tmp_path / "tower.npz")


def test_scores_do_not_depend_on_the_size_of_the_batch():
    random = np.random.default_rng(5)
    queries = quantised_queries(random.normal(size=(97, ITEM_DIMENSIONS)).astype(np.float32))
    vectors = tower().vectors(random.integers(1, TOKEN_BUCKETS, (501, 8)).astype(np.int32))
    together = queries @ vectors.T
    alone = np.concatenate([queries[i : i + 1] @ vectors.T for i in range(len(queries))])
    exact = queries.astype(np.int64) @ vectors.astype(np.int64).T
    assert np.array_equal(together, alone)
    assert np.array_equal(together.astype(np.int64), exact)


def test_a_query_of_zeros_stays_zero():
    assert not quantised_queries(np.zeros((1, ITEM_DIMENSIONS), np.float32)).any()
    assert np.abs(quantised_queries(np.ones((1, ITEM_DIMENSIONS), np.float32))).max() <= QUERY_STEPS
