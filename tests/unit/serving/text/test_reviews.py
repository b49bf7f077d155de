"""Reviews: no copy of a test review is learned from, and what is mixed stays in its fold."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.text.joining import joined
from serving.text.reviews import Reviews, folds, read_reviews, sentences, shown, split, variants
from tests.unit.serving.text.words import reviews


def test_copies_of_a_text_stay_on_one_side_of_every_split():
    once = reviews(300)
    twice = Reviews(once.titles * 2, once.texts * 2, np.tile(once.ratings, 2), np.tile(once.recommended, 2))
    parts = split(twice, test_share=0.2, validation_share=0.1)
    texts = [{twice.texts[row] for row in part} for part in parts]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert sum(map(len, parts)) == 600
    assert 0.1 < len(parts.test) / 600 < 0.3
    fold_of = folds(twice, 5)
    assert np.array_equal(fold_of[:300], fold_of[300:])
    assert set(fold_of) == set(range(5))


def test_a_split_does_not_depend_on_what_else_is_in_the_file():
    few, many = reviews(60), reviews(60)
    more = Reviews(
        [*many.titles, "t"], [*many.texts, "more."], np.append(many.ratings, 4), np.append(many.recommended, 1)
    )
    assert np.array_equal(split(few, 0.2, 0.1).test, [row for row in split(more, 0.2, 0.1).test if row < 60])


def test_ratings_are_three_sentiments():
    found = reviews(1)._replace(ratings=np.arange(5))
    assert found.sentiments.tolist() == [0, 0, 1, 2, 2]


def test_a_mixture_is_made_of_sentences_of_one_fold():
    found = reviews(90)
    fold_of = folds(found, 3)
    pieces = {
        fold: {s for row in np.flatnonzero(fold_of == fold) for s in sentences(found, int(row))} for fold in range(3)
    }
    texts, origin = variants(found, fold_of, 0.5, np.random.default_rng(3))
    assert len(texts) == len(origin) == 90
    for text, fold in zip(texts, origin, strict=True):
        said = [f"{part}." for part in text.removesuffix(".").split(". ")]
        assert set(said) <= pieces[fold], text


def test_balance_draws_rare_sentiments_more_often():
    found = reviews(300)
    rare = found._replace(ratings=np.where(np.arange(300) < 30, 0, 4))
    drawn = variants(rare, np.arange(300) % 2 + 2 * (np.arange(300) < 30), 1.0, np.random.default_rng(1))[1]
    assert (drawn >= 2).mean() > 0.35


def test_a_review_is_shown_with_and_without_its_title():
    found = reviews(400)._replace(titles=["Title"] * 400)
    made = shown(found, np.random.default_rng(0))
    with_title = sum(text.startswith("Title") and text != "Title" for text in made)
    assert 180 < with_title < 300
    assert 5 < made.count("Title") < 45
    assert sum(text in found.texts for text in made) > 80


def test_reviews_without_text_are_left_out(tmp_path):
    table = {"title": ["a", None, "c"], "review_text": ["x", None, " "], "rating": [1, 5, 3], "recommended": [0, 1, 1]}
    pq.write_table(pa.table(table), tmp_path / "r.parquet")
    found = read_reviews(tmp_path / "r.parquet")
    assert (found.texts, found.titles, found.ratings.tolist()) == (["x"], ["a"], [0])


@given(st.text(), st.text())
def test_joining_loses_no_text(title, text):
    made = joined(title, text)
    assert made.endswith(text.strip())
    assert joined(None, made) == made
    assert bool(made) == bool(title.strip() or text.strip())


@pytest.mark.parametrize(
    ("title", "text", "wanted"),
    [
        ("So soft!", "I love it", "So soft! I love it"),
        ("", "I", "I"),
        ("Nice", "", "Nice"),
        ("Nice", "NICE one", "NICE one"),
    ],
)
def test_joining(title, text, wanted):
    assert joined(title, text) == wanted
