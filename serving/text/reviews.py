"""Labelled reviews: reading them, splitting them, and the forms in which a review is shown to a network.

Training and its measurement call this. What is served reads any table, without ratings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from serving.text.decision import SENTIMENTS
from serving.text.joining import joined

RATINGS: Final = 5
_SENTIMENT_OF_RATING: Final = np.array([0, 0, 1, 2, 2])
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+")
_SEPARATORS: Final = (". ", ". ", " ", "\n", " - ", ": ", "! ")


class Reviews(NamedTuple):
    """N reviews."""

    titles: list[str]
    texts: list[str]
    ratings: npt.NDArray[np.int64]
    """0 to 4: one star to five."""
    recommended: npt.NDArray[np.int64]

    @property
    def sentiments(self) -> npt.NDArray[np.int64]:
        """int64[N]: index into ``SENTIMENTS``."""
        return sentiments_of(self.ratings)

    @property
    def whole(self) -> list[str]:
        """Title and text as the served encoder gets them."""
        return [joined(title, text) for title, text in zip(self.titles, self.texts, strict=True)]

    def take(self, rows: npt.NDArray[np.intp]) -> Reviews:
        """The reviews of ``rows``."""
        return Reviews(
            [self.titles[row] for row in rows],
            [self.texts[row] for row in rows],
            self.ratings[rows],
            self.recommended[rows],
        )


class Split(NamedTuple):
    """Rows by what they are for."""

    training: npt.NDArray[np.intp]
    validation: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


def sentiments_of(ratings: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[N] of ``SENTIMENTS`` from ratings 0 to 4."""
    return _SENTIMENT_OF_RATING[ratings].astype(np.int64)


def read_reviews(path: Path) -> Reviews:
    """Read parquet with ``title``, ``review_text``, ``rating`` (1 to 5) and ``recommended``; empty texts are left out.

    Raises:
        FileNotFoundError: there is no such file.
        KeyError: a column is missing.
    """
    table = pq.read_table(path, columns=["title", "review_text", "rating", "recommended"])
    texts = [(text or "").strip() for text in table["review_text"].to_pylist()]
    titles = [(title or "").strip() for title in table["title"].to_pylist()]
    found = Reviews(
        titles,
        texts,
        np.asarray(table["rating"].to_numpy(), np.int64) - 1,
        np.asarray(table["recommended"].to_numpy(), np.int64),
    )
    return found.take(np.flatnonzero([bool(text) for text in texts]))


def position(text: str, salt: str) -> float:
    """Where the hash of a text puts it in [0, 1): the same text always at the same place."""
    digest = hashlib.blake2b(f"{salt}:{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def split(reviews: Reviews, test_share: float, validation_share: float) -> Split:
    """By a hash of the text, so that copies stay together and no seed moves a review from test to training."""
    at = np.array([position(text, "tidemark-reviews-v1") for text in reviews.texts])
    return Split(
        training=np.flatnonzero(at >= test_share + validation_share),
        validation=np.flatnonzero((at >= test_share) & (at < test_share + validation_share)),
        test=np.flatnonzero(at < test_share),
    )


def folds(reviews: Reviews, count: int) -> npt.NDArray[np.int64]:
    """int64[N]: the fold of each review, copies together."""
    at = np.array([position(text, "tidemark-folds-v1") for text in reviews.texts])
    return (at * count).astype(np.int64)


def shown(reviews: Reviews, random: np.random.Generator) -> list[str]:
    """Each review as people may hand it over: with its title (six in ten), without, and the title alone (one in
    twenty)."""
    chosen = random.random(len(reviews.texts))
    separators = random.integers(len(_SEPARATORS), size=len(reviews.texts))
    return [
        text if not title or form < 0.35 else title if form < 0.4 else f"{title}{_SEPARATORS[separator]}{text}"
        for title, text, form, separator in zip(reviews.titles, reviews.texts, chosen, separators, strict=True)
    ]


def variants(
    reviews: Reviews, fold_of: npt.NDArray[np.int64], balance: float, random: np.random.Generator
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """As many texts as there are reviews, cut and mixed from them, and the fold each comes from.

    Half keep a part of their sentences in a new order, half are mixed of two reviews of one fold. Rare sentiments are
    drawn more often: a text's label comes from teachers, so drawing changes no label.
    """
    sentiments = reviews.sentiments
    weight = (1 / np.bincount(sentiments, minlength=len(SENTIMENTS))[sentiments]) ** balance
    drawn = random.choice(len(sentiments), len(sentiments), p=weight / weight.sum())
    partner_of = {
        fold: rows[random.choice(len(rows), len(rows), p=weight[rows] / weight[rows].sum())]
        for fold in np.unique(fold_of)
        for rows in [np.flatnonzero(fold_of == fold)]
    }
    made: list[str] = []
    for row in drawn:
        pieces = sentences(reviews, int(row))
        if random.random() < 0.5:
            partners = partner_of[fold_of[row]]
            other = sentences(reviews, int(partners[random.integers(len(partners))]))
            pieces = _some(pieces, 0.6, random) + _some(other, 0.6, random)
        else:
            pieces = _some(pieces, 0.75, random)
        if random.random() < 0.5:
            random.shuffle(pieces)
        made.append(" ".join(pieces))
    return made, fold_of[drawn]


def sentences(reviews: Reviews, row: int) -> list[str]:
    """The sentences of a review; its title, where it has one, is the first."""
    title = reviews.titles[row]
    return [*([f"{title}."] if title else []), *_SENTENCE_END.split(reviews.texts[row])]


def _some(pieces: Sequence[str], share: float, random: np.random.Generator) -> list[str]:
    kept = [piece for piece in pieces if random.random() < share]
    return kept or [pieces[int(random.integers(len(pieces)))]]
