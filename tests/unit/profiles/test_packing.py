"""Rows are found at their own borders only, whatever bytes lie across them."""

from hypothesis import given
from hypothesis import strategies as st

from stream.profiles.packing import last_place, place

ROWS = st.lists(st.binary(min_size=3, max_size=3).map(lambda row: bytes(byte % 2 for byte in row)), max_size=12)


@given(ROWS, st.integers(0, 1), st.binary(min_size=2, max_size=2).map(lambda part: bytes(byte % 2 for byte in part)))
def test_the_first_and_the_last_row_that_hold_a_part_are_found(rows: list[bytes], offset: int, part: bytes) -> None:
    table = b"".join(rows)
    holders = [3 * index for index, row in enumerate(rows) if row[offset : offset + 2] == part]
    assert place(table, part, 3, offset) == (holders[0] if holders else -1)
    assert last_place(table, part, 3, offset, len(table)) == (holders[-1] if holders else -1)
