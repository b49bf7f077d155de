"""Likeness of items' names, for items whose sales nobody knows yet: cosines of TF-IDF over the hashed words of names.

What nobody bought has no buyers and no companions, and the query, which is learned from what was bought, finds it by
chance alone. Words in common with what the customer bought do find it (decision 18). Words and their rarity come from
the catalogue itself, so an item has them as soon as it is listed. Called by ``serving.catalogue``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from serving.tokens import TOKEN_BUCKETS

MOST_UNSOLD: Final = 512
"""Items that are compared at most: each costs every customer a look at everything that they bought."""


def name_likeness(tokens: npt.NDArray[np.int32], wanted: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """float32[N, U], 0 to 1: how alike the names of N items are to those of U of them.

    A word counts ``1 + log(N / names that have it)`` (Spärck Jones 1972); names without a word are like nothing.

    Args:
        tokens: int32[N, tokens], see ``serving.tokens``; 0 is padding.
        wanted: intp[U]: rows.
    """
    row, place = np.nonzero(tokens)
    having = tokens[row, place]
    rarity = np.log(len(tokens) / np.maximum(np.bincount(having, minlength=TOKEN_BUCKETS), 1)) + 1.0
    alike = np.zeros((len(tokens), len(wanted)), np.float32)
    order = np.argsort(having, kind="stable")
    row, having = row[order], having[order]
    for word in np.unique(tokens[wanted][tokens[wanted] > 0]).tolist():
        first, last = np.searchsorted(having, [word, word + 1])
        asking = np.flatnonzero((tokens[wanted] == word).any(axis=1))
        alike[np.ix_(row[first:last], asking)] += rarity[word] ** 2
    norms = np.sqrt((np.where(tokens > 0, rarity[tokens], 0.0) ** 2).sum(axis=1))
    norms = np.where(norms > 0, norms, 1.0).astype(np.float32)
    alike /= norms[:, None] * norms[wanted]
    return alike.clip(max=1.0)
