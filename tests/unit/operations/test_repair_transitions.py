"""What a repair publishes of an alert, by what readers know of it and what they should know."""

import pytest
from msgspec.structs import replace

from stream.contracts.alerts import Alert, Correction
from stream.contracts.ids import message_id
from stream.operations.repairs.plan import transition_of
from tests.unit.operations.messages import alert

ID = "05164a0d-e1d8-5feb-8065-91fbb412b4f8"
WHY = Correction("fixed", "revenue counted twice", "2026-11-24T05:00:00.000Z")


def said(**fields: object) -> Alert:
    return alert(alert_id=ID, **fields).data


def test_an_alert_that_should_never_have_been_is_corrected_also_when_it_is_over() -> None:
    for status in ("raised", "resolved"):
        change, found = transition_of(said(status=status, revision=3), None, WHY)
        assert change == "corrected"
        assert (found.status, found.resolve_reason, found.suggested_action.code) == ("corrected", "corrected", "none")
        assert (found.revision, found.supersedes) == (4, message_id(ID, 3))
        assert (found.previous_status, found.correction) == (status, WHY)


@pytest.mark.parametrize(
    ("was", "should", "becomes"),
    [
        ("raised", "raised", "updated"),
        ("updated", "raised", "updated"),
        ("resolved", "raised", "raised"),
        ("expired", "updated", "raised"),
        ("raised", "expired", "expired"),
        ("resolved", "expired", "expired"),
    ],
)
def test_an_open_alert_is_revised_and_one_that_was_over_is_opened_again(was: str, should: str, becomes: str) -> None:
    change, found = transition_of(said(status=was, revision=2, score=0.9), said(status=should, score=0.75), WHY)
    assert change == "revised"
    assert (found.status, found.revision, found.supersedes) == (becomes, 3, message_id(ID, 2))
    assert (found.score, found.previous_score, found.previous_status) == (0.75, 0.9, was)


def test_an_alert_that_nobody_knows_begins_where_the_replay_has_it() -> None:
    for status, change in (("updated", "raised"), ("expired", "ended")):
        should = said(status=status, revision=2, supersedes="unheard", previous_status="raised", previous_score=0.5)
        named, found = transition_of(None, should, WHY)
        assert named == change
        assert (found.status, found.revision) == (status, 2)
        assert (found.supersedes, found.previous_status, found.previous_score) == (None, None, None)
        assert (
            replace(found, correction=None, supersedes="unheard", previous_status="raised", previous_score=0.5)
            == should
        )
