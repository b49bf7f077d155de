"""Times mean the same instant outside and inside, and what is no time of this world is refused."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.times import LATEST_MS, WireTime, to_epoch_ms, to_rfc3339

decode = msgspec.json.Decoder(WireTime).decode
instants = st.integers(0, LATEST_MS - 1)


@given(instants)
def test_rfc3339_and_epoch_are_one_time(milliseconds: int) -> None:
    written = to_rfc3339(milliseconds)
    assert to_epoch_ms(decode(msgspec.json.encode(written))) == milliseconds
    assert to_epoch_ms(decode(msgspec.json.encode(milliseconds))) == milliseconds
    assert len(written) == len("2011-06-01T09:12:00.000Z")


@given(instants, instants)
def test_times_sort_as_text(first: int, second: int) -> None:
    assert (first < second) == (to_rfc3339(first) < to_rfc3339(second))


def test_an_offset_counts() -> None:
    moment = datetime(2011, 6, 1, 11, 12, tzinfo=timezone(timedelta(hours=2)))
    assert to_epoch_ms(moment) == to_epoch_ms(datetime(2011, 6, 1, 9, 12, tzinfo=UTC)) == 1_306_919_520_000


def test_parts_of_a_millisecond_are_rounded_down() -> None:
    assert to_epoch_ms(datetime(1970, 1, 1, microsecond=1_999, tzinfo=UTC)) == 1


@pytest.mark.parametrize("moment", [-1, LATEST_MS, 1_306_919_520_000_000, datetime(1969, 12, 31, tzinfo=UTC)])
def test_other_units_and_other_centuries_are_refused(moment: datetime | int) -> None:
    with pytest.raises(ValueError, match="epoch milliseconds"):
        to_epoch_ms(moment)
