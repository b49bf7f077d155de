"""Item rankings that need no learning from labels: popularity, own repeats, item-kNN, EASE, and likeness of names.

Called by ``serving.evaluation.baselines.forecasts``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving import co_purchase
from serving.history import Journey

RANKED: Final = 20
_POPULAR_DAYS: Final = 30
_KNOWN_DAYS: Final = 730
_HALF_LIFE_DAYS: Final = 90.0
_SHRINK: Final = 10.0
_RIDGE: Final = 200.0
_MOST_WORDS: Final = 3_000
_WORD: Final = re.compile(r"\w\w+")


class Rankings(NamedTuple):
    """The likeliest items of N customers, best first, and the same without what each bought before."""

    items: list[list[str]]
    new_items: list[list[str]]


def item_rankings(
    journeys: Mapping[str, Journey], customers: Sequence[str], as_of: int, names: Mapping[str, str] | None = None
) -> dict[str, Rankings]:
    """By baseline: rankings of ``customers`` with what was known at ``as_of`` (epoch milliseconds).

    Args:
        names: by item. Without any there is no TF-IDF.
    """
    known = co_purchase.popular(journeys, as_of, _KNOWN_DAYS)
    if not known or not customers:
        return {}
    order = sorted(known, key=lambda item: (-known[item], item))[: co_purchase.MOST_ITEMS]
    index = {item: place for place, item in enumerate(order)}
    recent = co_purchase.popular(journeys, as_of, _POPULAR_DAYS)
    buyers = np.array([recent.get(item, 0) for item in order], np.float32)
    teachers = sorted(customer for customer, journey in journeys.items() if journey.times[0] <= as_of)
    teachers = teachers[:: 1 + len(teachers) // co_purchase.MOST_CUSTOMERS]
    learned = co_purchase.histories([journeys[customer] for customer in teachers], as_of, index, _HALF_LIFE_DAYS)
    alike = co_purchase.cosines(learned, len(order), _SHRINK)
    weights = co_purchase.ease(learned._replace(lines=np.ones(len(learned.lines))), len(order), _RIDGE)
    words = tf_idf([(names or {}).get(item, "") for item in order])
    own = co_purchase.histories([journeys[customer] for customer in customers], as_of, index, _HALF_LIFE_DAYS)
    found: dict[str, Rankings] = {}
    # Ties, and what a baseline says nothing of, are filled by popularity.
    filling = buyers / (buyers.max() + 1) * 1e-4
    for _, table in own.dense(len(order)):
        bought = table > 0
        scores = {
            "popularity_30d": np.broadcast_to(buyers, table.shape),
            "own_repeats_x_popularity": table * (buyers + 1) + filling,
            "item_knn": table @ alike + filling,
            "ease": table @ weights + filling,
        }
        if words.shape[1]:
            scores["tf_idf"] = (table @ words) @ words.T + filling
        for name, score in scores.items():
            rankings = found.setdefault(name, Rankings([], []))
            rankings.items.extend(_top(score, order))
            rankings.new_items.extend(_top(np.where(bought, -np.inf, score), order))
    return found


def tf_idf(names: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32[N, W]: each name by its words, the rare ones weighing more (Salton, Buckley 1988), of length 1.

    Words are those of at least two names; W is 0 where there are none.
    """
    of_item = [Counter(_WORD.findall(name.lower())) for name in names]
    items_with = Counter(word for words in of_item for word in words)
    known = sorted(items_with, key=lambda word: (-items_with[word], word))
    place = {word: column for column, word in enumerate(known[:_MOST_WORDS]) if items_with[word] > 1}
    table = np.zeros((len(names), len(place)), np.float32)
    for row, words in enumerate(of_item):
        for word, count in words.items():
            if word in place:
                table[row, place[word]] = count * (np.log((1 + len(names)) / (1 + items_with[word])) + 1)
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9), np.float32)


def _top(score: npt.NDArray[np.float32], order: Sequence[str]) -> list[list[str]]:
    count = min(RANKED, score.shape[1])
    places = np.argpartition(-score, count - 1, axis=1)[:, :count]
    places = np.take_along_axis(places, np.argsort(-np.take_along_axis(score, places, 1), axis=1, kind="stable"), 1)
    return [[order[place] for place in row] for row in places.tolist()]
