"""The ring of interactions is the same in whatever order and company its rows came."""

from hypothesis import given
from hypothesis import strategies as st

from stream.profiles.interactions import BROWSE, put, row

ROWS = st.builds(
    row,
    st.integers(0, 9).map(lambda second: 1000 * second),
    st.just(BROWSE),
    st.integers(0, 5),
    st.just(1.0),
    st.just(0.0),
)


@given(st.lists(st.lists(ROWS, min_size=1, max_size=4), max_size=12))
def test_rows_lie_sorted_however_they_come(groups: list[list[bytes]]) -> None:
    ring = b""
    for group in groups:
        ring = put(ring, list(group))
    assert ring == b"".join(sorted(one for group in groups for one in group))
