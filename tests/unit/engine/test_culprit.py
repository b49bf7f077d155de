"""The search blames the one step that the broker refuses, and gets back to full speed behind it."""

from hypothesis import given
from hypothesis import strategies as st

from stream.engine.culprit import CulpritSearch


@given(st.integers(1, 5_000), st.data())
def test_the_culprit_is_found_in_a_few_transactions_and_nobody_else_is_blamed(length: int, data: st.DataObject) -> None:
    culprits = data.draw(st.sets(st.integers(0, length - 1), min_size=1, max_size=3))
    search, offset, blamed, transactions = CulpritSearch(), 0, set(), 0
    while offset < length:
        transactions += 1
        until = min(length, offset + search.steps) if search.steps else length
        if any(offset <= culprit < until for culprit in culprits - blamed):
            if search.refused(until - offset, until, alone=True):
                assert until == offset + 1
                blamed.add(offset)
        else:
            offset = until
            search.passed(offset)
    assert blamed == culprits
    assert search.steps == 0
    assert transactions <= len(culprits) * (2 + 2 * 2 * length.bit_length())


def test_a_record_that_is_refused_once_is_not_blamed() -> None:
    search = CulpritSearch()
    assert not search.refused(1, 10, alone=True)
    search.passed(10)
    assert not search.refused(1, 11, alone=True)
    assert search.refused(1, 11, alone=True)


def test_nobody_is_blamed_while_others_are_in_the_transaction() -> None:
    search = CulpritSearch()
    assert not any(search.refused(1, 10, alone=False) for _ in range(10))
    assert search.steps == 1
