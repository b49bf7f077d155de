"""A dead letter says why and where, keeps the original, and always fits the broker."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.dead_letters import (
    PREFIX,
    VALUE_LIMIT,
    DeadLetter,
    dead_letter,
    read_verdict,
    redriven_headers,
)
from stream.contracts.emission import Origin, Rejected
from stream.contracts.headers import REDRIVEN, REDRIVEN_FROM, RecordHeaders, header, redrives

ORIGIN = Origin("customer.events.v1", 3, 41)


def made(
    value: bytes | None = b"{}",
    key: bytes | None = b"13085",
    headers: RecordHeaders = (),
    message: str = "price is -1: send 0 or more",
    field: str = "$.items[0].price",
    offset: int = ORIGIN.offset,
) -> DeadLetter:
    return dead_letter(
        Rejected("out_of_range", message, field),
        ORIGIN._replace(offset=offset),
        key=key,
        value=value,
        headers=headers,
        timestamp=1_306_919_520_000,
        worker_version="0.1.0",
    )


def test_headers_say_why_and_where() -> None:
    verdict = read_verdict(made(headers=[("ce_id", b"1")]).headers)
    assert verdict.code == "out_of_range"
    assert verdict.message == "price is -1: send 0 or more"
    assert verdict.field == "$.items[0].price"
    assert verdict.origin == ORIGIN
    assert (verdict.timestamp, verdict.attempt, verdict.worker_version) == (1_306_919_520_000, 1, "0.1.0")
    assert (verdict.original_length, verdict.original_sha256) == (None, "")
    assert verdict.headers == (("ce_id", b"1"),)


@pytest.mark.parametrize("value", [None, b"", b"{}", b"x" * (VALUE_LIMIT - 5)])
def test_what_fits_is_kept_as_it_came(value: bytes | None) -> None:
    letter = made(value)
    assert (letter.key, letter.value) == (b"13085", value)
    assert read_verdict(letter.headers).original_length is None


def test_a_cut_value_has_length_and_hash_of_the_whole() -> None:
    value = b"x" * 2_000_000
    letter = made(value)
    verdict = read_verdict(letter.headers)
    assert letter.value == value[: VALUE_LIMIT - 5]
    assert verdict.original_length == 2_000_000
    assert verdict.original_sha256 == hashlib.sha256(value).hexdigest()


def test_a_dead_letter_fits_the_broker_whatever_came() -> None:
    letter = made(
        value=b"x" * 3_000_000,
        key=b"k" * 1_000_000,
        headers=[(f"header-{n}", b"h" * 1_000) for n in range(1_000)],
        message="é" * 100_000,
        field="$." + "é" * 100_000,
    )
    size = len(letter.key or b"") + len(letter.value or b"") + sum(len(n) + len(v) for n, v in letter.headers)
    assert size < 1_000_000
    assert read_verdict(letter.headers).message.startswith("éé")


def test_each_round_is_counted_and_carries_where_the_first_began() -> None:
    headers: RecordHeaders = [("ce_id", b"1")]
    for attempt, offset in enumerate((7, 200, 300), start=1):
        verdict = read_verdict(made(headers=headers, offset=offset).headers)
        assert verdict.attempt == attempt
        headers = redriven_headers(verdict)
        assert redrives(headers) == attempt
        assert [name for name, _ in headers] == ["ce_id", REDRIVEN, REDRIVEN_FROM]
        assert header(headers, REDRIVEN_FROM) == b"customer.events.v1:3:7"


@pytest.mark.parametrize("value", [None, b"", b"-1", b"many"])
def test_a_redriven_header_that_is_no_number_counts_as_none(value: bytes | None) -> None:
    assert redrives([(REDRIVEN, value)]) == 0


def test_the_last_of_several_headers_counts() -> None:
    assert header([("a", b"1"), ("a", b"2"), ("b", b"3")], "a") == b"2"
    assert header([("a", b"1")], "b") is None


def test_a_forged_verdict_does_not_survive() -> None:
    letter = made(headers=[(PREFIX + "code", b"forged"), ("x", None)])
    assert read_verdict(letter.headers).code == "out_of_range"
    assert read_verdict(letter.headers).headers == (("x", b""),)


def test_any_other_record_is_no_dead_letter() -> None:
    with pytest.raises(ValueError, match="tidemark-dead-code is missing"):
        read_verdict([("ce_id", b"1")])


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda name: not name.startswith(PREFIX))


@given(
    value=st.none() | st.binary(),
    key=st.none() | st.binary(),
    headers=st.lists(st.tuples(names, st.binary()), max_size=5),
    message=st.text(st.characters(codec="utf-8"), max_size=200),
)
def test_nothing_small_is_lost(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], message: str
) -> None:
    letter = made(value, key, headers, message)
    verdict = read_verdict(letter.headers)
    assert (letter.key, letter.value, verdict.headers, verdict.message) == (key, value, tuple(headers), message)
