from hypothesis import given
from hypothesis import strategies as st

from serving.tokens import TOKEN_BUCKETS, TOKENS_PER_ITEM, bucket, name_tokens, words


def test_case_plural_and_punctuation_do_not_change_an_item():
    assert name_tokens("Red  Lanterns!") == name_tokens("RED LANTERN")


def test_two_letter_words_and_double_s_keep_their_end():
    assert words("GLASS OF US") == ["glass", "of", "us"]


def test_a_word_counts_once():
    assert words("red red lantern") == ["red", "lantern"]


def test_an_item_without_a_name_has_no_tokens():
    assert name_tokens("") == (0,) * TOKENS_PER_ITEM


def test_buckets_never_change():
    # Trained models depend on these values.
    assert [bucket("lantern"), bucket("red"), bucket("cup")] == [7669, 6081, 980]


@given(st.text())
def test_any_name_gives_eight_buckets_in_range_with_zeros_at_the_end(name):
    tokens = name_tokens(name)
    assert len(tokens) == TOKENS_PER_ITEM
    assert all(0 <= token < TOKEN_BUCKETS for token in tokens)
    assert list(tokens) == [t for t in tokens if t] + [0] * tokens.count(0)
