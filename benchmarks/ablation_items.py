"""What the query head reads of an item, and what it learns beside: a table for docs/model.md.

    python -m benchmarks.ablation_items EVENTS [CUTOFF]

Needs the extra `train`. Words of the name (shipped), an id of its own, or codes of a quantised text vector (VQ-Rec, Hou
et al. 2023); trained together with churn. A fifth of the items is hidden from training, histories and labels alike, so
that cold items are measured on the same networks. Every row is trained with two seeds: the mean, and half their
distance.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from benchmarks.shown_items import Shown, ids_of, prepared
from serving.evaluation import metrics
from serving.history import read_events
from serving.model.network import CustomerNetwork, raw_churn
from serving.model.settings import NetworkSettings
from serving.model_card import HORIZONS_DAYS
from serving.statistics import STATISTICS
from serving.text.encoder import shipped_encoder
from serving.tokens import TOKEN_BUCKETS, TOKENS_PER_ITEM
from serving.training.arrays import ExampleArrays, batch_of
from serving.training.checkpoints import NOTHING_KEPT
from serving.training.learn import Pool, Rows, Task, learn
from serving.training.losses import churn_loss, next_item_loss
from serving.training.settings import TrainingSettings
from serving.training.weights import by_age
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings

CUTOFF: Final = "2011-03-10"
SEEDS: Final = (1, 2)
CODES: Final = TOKEN_BUCKETS // TOKENS_PER_ITEM // 4
"""Codes of each of the ``TOKENS_PER_ITEM`` parts of a vector: 256, as in VQ-Rec."""

Floats = npt.NDArray[np.floating[Any]]

_OUTLOOK: Final = STATISTICS.index("hazard_30d")
_CHURN_WEIGHT: Final = 1.0


class Variant(NamedTuple):
    """What is read of an item, and what is learned."""

    name: str
    tokens: str = "words"
    churn: bool = False


VARIANTS: Final = (
    Variant("words of the name (shipped)"),
    Variant("an id of its own", tokens="ids"),
    Variant("codes of the text vector", tokens="codes"),
    Variant("words, trained together with churn", churn=True),
)


class Joint(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """The query network with hazards on top of the query, departing from the outlook as the shipped ones do."""

    def __init__(self, network: CustomerNetwork) -> None:
        super().__init__()
        self.network = network
        self.hazards = nn.Linear(network.query.out_features, len(HORIZONS_DAYS))
        nn.init.zeros_(self.hazards.weight)
        nn.init.zeros_(self.hazards.bias)

    def hazard(self, query: Tensor, stats: Tensor) -> Tensor:
        return stats[:, _OUTLOOK : _OUTLOOK + len(HORIZONS_DAYS)] + self.hazards(query)


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    settings = ProfileSettings()
    cutoff = to_epoch_ms(datetime.fromisoformat(arguments[1] if arguments[1:] else CUTOFF).replace(tzinfo=UTC))
    events = list(read_events([Path(arguments[0])], settings))
    catalogue, shown = prepared(events, cutoff, settings)
    names = [item.item_name if (item := catalogue.get(each)) else "" for each in catalogue.item_ids]
    vectors = shipped_encoder().encode(names).vectors
    tables = {"words": catalogue.tokens, "ids": ids_of(len(catalogue)), "codes": codes_of(vectors)}
    bought = np.flatnonzero((shown.known.next_items >= 0).any(axis=1))
    print(f"{len(bought):,} examples with a next basket, {len(shown.baskets):,} customers measured, "
          f"{int((~shown.hidden).sum()):,} items shown and {int(shown.hidden.sum()):,} hidden")  # fmt: skip
    print("\n| | recall@20 | NDCG@10 | new recall@20 | hidden recall@20 | churn 90 d, AUC |\n|" + " --- |" * 6)
    for name, found in untrained(vectors, shown).items():
        print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in found) + " | |", flush=True)
    for variant in VARIANTS:
        rows = np.array([figures(variant, tables[variant.tokens], shown, seed) for seed in SEEDS])
        cells = [
            "" if np.isnan(mean) else f"{mean:.3f} ± {spread:.3f}"
            for mean, spread in zip(rows.mean(axis=0), np.ptp(rows, axis=0) / 2, strict=True)
        ]
        print(f"| {variant.name} | " + " | ".join(cells) + " |", flush=True)


def codes_of(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """int32[items + 1, tokens]: product quantisation (Jégou et al. 2011) of the text vectors of the names."""
    table = np.zeros((len(vectors) + 1, TOKENS_PER_ITEM), np.int32)
    for place, part in enumerate(np.split(vectors, TOKENS_PER_ITEM, axis=1)):
        found = KMeans(CODES, n_init=1, max_iter=30, random_state=1).fit_predict(part)
        table[:-1, place] = 1 + place * CODES + found
    return table


def seen_as(arrays: ExampleArrays, table: npt.NDArray[np.int32]) -> ExampleArrays:
    """The arrays with the items' tokens of ``table``."""
    # Row 0 stands for no item, the table's last row is zero.
    rows = arrays.tensors["history_tokens"][:, :, 0].astype(np.intp) - 1
    return arrays._replace(tensors={**arrays.tensors, "history_tokens": table[rows].astype(np.int16)})


def figures(variant: Variant, table: npt.NDArray[np.int32], shown: Shown, seed: int) -> list[float]:
    """Train one network and measure it."""
    settings = TrainingSettings(seed=seed, examples_per_epoch=20_000)
    torch.manual_seed(seed)
    joint = Joint(CustomerNetwork(NetworkSettings()))
    network = joint.network
    arrays = seen_as(shown.arrays, table)
    warm = np.flatnonzero(~shown.hidden)
    place = np.full(len(shown.hidden) + 1, -1)
    place[warm] = np.arange(len(warm))
    next_items = torch.from_numpy(place[shown.known.next_items].astype(np.int64))
    tokens, popularity = torch.from_numpy(table[warm].astype(np.int64)), torch.from_numpy(shown.log_popularity[warm])
    bought = torch.from_numpy(shown.known.bought)

    def loss(rows: Rows) -> Tensor:
        inputs = batch_of(arrays, rows)
        stats = inputs.pop("stats")
        query = network.queries(**inputs)
        vectors = network.item_vectors(tokens)
        found = next_item_loss(query, vectors, network.popularity_weight * popularity, next_items[rows])
        return found + _CHURN_WEIGHT * churn_loss(joint.hazard(query, stats), bought[rows]) if variant.churn else found

    rows = np.arange(len(bought)) if variant.churn else np.flatnonzero((next_items >= 0).any(dim=1).numpy())
    pool = Pool(rows, by_age(arrays.as_of[rows], settings.recency_half_life_days * DAY_MS), arrays.lengths)
    learned = [weights for name, weights in joint.named_parameters() if not name.startswith("network.hazards.")]
    epochs = settings.query_epochs
    task = Task("queries", joint, learned, loss, pool, epochs, epochs, settings.query_learning_rate)
    learn(task, settings, NOTHING_KEPT.fit("queries"), lambda what, done, of: None)
    return measured(joint.eval(), variant, table, shown)


def measured(joint: Joint, variant: Variant, table: npt.NDArray[np.int32], shown: Shown) -> list[float]:
    """The figures of ``retrieved``, and AUC."""
    test, network = seen_as(shown.test, table), joint.network
    queries, churn = [], []
    with torch.no_grad():
        for start in range(0, len(shown.baskets), 512):
            inputs = batch_of(test, np.arange(start, min(start + 512, len(shown.baskets))))
            stats = inputs.pop("stats")
            query = network.queries(**inputs)
            queries.append(nn.functional.normalize(query, dim=1))
            churn.append(raw_churn(joint.hazard(query, stats))[:, -1])
        likeness = (torch.cat(queries) @ network.item_vectors(torch.from_numpy(table[:-1].astype(np.int64))).T).numpy()
        ranked_by = likeness + float(network.popularity_weight) * shown.log_popularity
    auc = metrics.auc(shown.churned, torch.cat(churn).numpy()) if variant.churn else float("nan")
    return [*retrieved(ranked_by, likeness, shown), auc]


def retrieved(ranked_by: Floats, likeness: Floats, shown: Shown) -> list[float]:
    """Recall and NDCG among the shown items by ``ranked_by``, recall of those not bought before, and recall among the
    hidden ones by ``likeness``, float[N, items] each."""
    hidden = frozenset(np.flatnonzero(shown.hidden).tolist())
    ranked = np.where(shown.hidden, -np.inf, ranked_by)
    new = ranked.copy()
    for row, items in enumerate(shown.before):
        new[row, list(items)] = -np.inf
    cold = np.where(shown.hidden, likeness, -np.inf)
    warm_baskets = [basket - hidden for basket in shown.baskets]
    new_baskets = [basket - before for basket, before in zip(warm_baskets, shown.before, strict=True)]
    best = [named(scores, 20) for scores in (ranked, new, cold)]
    return [
        float(np.nanmean(metrics.recalls_at(best[0], strings(warm_baskets), 20))),
        float(np.nanmean(metrics.ndcgs_at(best[0], strings(warm_baskets), 10))),
        float(np.nanmean(metrics.recalls_at(best[1], strings(new_baskets), 20))),
        float(np.nanmean(metrics.recalls_at(best[2], strings([b & hidden for b in shown.baskets]), 20))),
    ]


def untrained(vectors: npt.NDArray[np.float32], shown: Shown) -> dict[str, list[float]]:
    """What popularity alone finds, and what likeness of texts to the nearest shown item bought before."""
    size = (len(shown.baskets), len(shown.hidden))
    popularity, nearest = np.broadcast_to(shown.log_popularity, size), np.zeros(size, np.float32)
    for row, items in enumerate(shown.before):
        known = [item for item in items if not shown.hidden[item]]
        nearest[row] = (vectors @ vectors[known].T).max(axis=1) if known else 0.0
    return {
        "popularity alone": retrieved(popularity, popularity, shown),
        "text nearest to one bought before": retrieved(nearest, nearest, shown),
    }


def named(scores: npt.NDArray[np.float32], count: int) -> list[list[str]]:
    """Rows of the best, best first, as the metrics take them."""
    return [list(map(str, row)) for row in np.argsort(-scores, axis=1, kind="stable")[:, :count].tolist()]


def strings(baskets: Sequence[frozenset[int]]) -> list[frozenset[str]]:
    """The same rows as the metrics take them."""
    return [frozenset(map(str, basket)) for basket in baskets]


if __name__ == "__main__":
    main(sys.argv[1:])
