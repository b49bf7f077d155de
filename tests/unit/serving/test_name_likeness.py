"""Names are alike by the rare words that they share, as TF-IDF by the book says."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.name_likeness import name_likeness
from serving.tokens import name_tokens, words

NAMES = st.lists(st.lists(st.sampled_from(["red", "blue", "tin", "clock", "bag"]), max_size=4), min_size=1, max_size=12)


def tokens(names: list[str]) -> np.ndarray:
    return np.array([name_tokens(name) for name in names], np.int32)


def by_the_book(names: list[str]) -> np.ndarray:
    listed = [words(name) for name in names]
    having = Counter(word for found in listed for word in found)
    vectors = [{word: 1 + math.log(len(names) / having[word]) for word in found} for found in listed]

    def cosine(one: dict[str, float], other: dict[str, float]) -> float:
        norms = math.prod(math.sqrt(sum(value**2 for value in each.values())) for each in (one, other))
        return sum(value * other.get(word, 0.0) for word, value in one.items()) / norms if norms else 0.0

    return np.array([[cosine(one, other) for other in vectors] for one in vectors])


@given(NAMES, st.data())
def test_it_is_the_cosine_of_tf_idf(drawn, data):
    names = [" ".join(each) for each in drawn]
    wanted = np.array(data.draw(st.lists(st.integers(0, len(names) - 1), unique=True)), np.intp)
    found = name_likeness(tokens(names), wanted)
    assert found.shape == (len(names), len(wanted))
    assert found == pytest.approx(by_the_book(names)[:, wanted], abs=1e-5)
    assert found.max(initial=0.0) <= 1.0


def test_a_rare_word_in_common_says_more_than_a_frequent_one():
    names = ["RED BUNTING", "RED BAG", "BLUE BUNTING", *(f"RED THING{n}" for n in range(20))]
    alike = name_likeness(tokens(names), np.array([0]))[:, 0]
    assert alike[0] == pytest.approx(1.0)
    assert alike[2] > 2 * alike[1] > 0
