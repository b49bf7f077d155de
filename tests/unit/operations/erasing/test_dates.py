"""Dates in the report are the latest ones that Kafka's settings allow."""

import pytest

from stream.contracts.times import DAY_MS, HOUR_MS
from stream.contracts.topics import TOPICS
from stream.operations.erasing.dates import SLACK_MS, Keeping, keeping_of
from stream.workers.decisions import FILLER_GRID_MS

WEEK = 7 * DAY_MS
BROKER = {
    "cleanup.policy": "delete",
    "retention.ms": str(WEEK),
    "segment.ms": str(WEEK),
    "max.compaction.lag.ms": str((1 << 63) - 1),
    "delete.retention.ms": str(DAY_MS),
}
"""What a broker says of a topic that has no settings of its own."""


def keeping(name: str) -> Keeping:
    return keeping_of({**BROKER, **TOPICS[name].settings()})


def test_a_record_goes_with_its_segment_which_takes_records_for_a_week_more() -> None:
    assert keeping("scores").deleted_by(DAY_MS) == DAY_MS + WEEK + 400 * DAY_MS + SLACK_MS


def test_what_is_kept_for_ever_has_no_date() -> None:
    assert keeping("control").deleted_by(DAY_MS) is None


def test_a_null_takes_away_what_is_older_when_its_segment_was_closed_by_the_next_filler() -> None:
    assert keeping("predictions").cleaned_by(0) == 24 * HOUR_MS + FILLER_GRID_MS + SLACK_MS


def test_a_null_is_gone_within_five_days() -> None:
    first = keeping("predictions").cleaned_by(0)
    gone = keeping("predictions").null_gone_by(0)
    assert gone == 2 * first + 48 * HOUR_MS
    assert gone < 5 * DAY_MS


@pytest.mark.parametrize("segment_ms", [HOUR_MS, WEEK])
def test_a_segment_is_closed_by_the_shorter_of_its_two_bounds(segment_ms: int) -> None:
    own = keeping_of({**BROKER, **TOPICS["predictions"].settings(), "segment.ms": str(segment_ms)})
    assert own.cleaned_by(0) == min(segment_ms, DAY_MS) + FILLER_GRID_MS + SLACK_MS
