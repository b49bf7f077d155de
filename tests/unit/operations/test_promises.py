"""What the demo checks: a run that kept its promises is passed, and each broken one is said."""

from itertools import pairwise

import pytest

from stream.contracts.alerts import AlertEvent
from stream.contracts.ids import message_id
from stream.contracts.recommendations import Recommendation, RecommendationReason, RecommendedItem
from stream.operations import promises
from stream.profiles.profile import Profile
from tests.unit.operations.messages import AT, EXPERIMENT, STAMP, alert

ALERT_ID = "00000000-0000-5000-8000-000000000001"


def episode(*statuses: str, arm: str = "treatment") -> list[AlertEvent]:
    experiment = EXPERIMENT if arm == "treatment" else type(EXPERIMENT)("alerts", "holdout", 0.1, "1")
    transitions = [
        alert(alert_id=ALERT_ID, status=status, revision=revision, experiment=experiment)
        for revision, status in enumerate(statuses, start=1)
    ]
    for transition in transitions:
        transition.id = message_id(ALERT_ID, transition.data.revision)
    for previous, following in pairwise(transitions):
        following.data.supersedes = previous.id
    return transitions


def test_whole_episodes_keep_the_promise() -> None:
    assert promises.broken_transitions(episode("raised", "updated", "resolved"), []) == []
    assert promises.broken_transitions(episode("raised"), [ALERT_ID]) == []
    assert promises.broken_transitions(episode("raised", arm="holdout"), []) == []


def test_a_gap_in_the_revisions_is_said() -> None:
    whole = episode("raised", "updated", "resolved")
    assert "has revisions [1, 3]" in promises.broken_transitions([whole[0], whole[2]], [])[0]


def test_a_transition_that_comes_twice_is_said() -> None:
    whole = episode("raised", "resolved")
    assert "1 transitions of alerts came twice by id" in promises.broken_transitions([*whole, whole[1]], [])


def test_going_on_after_the_end_is_said() -> None:
    assert any(
        "went on after its end" in said
        for said in promises.broken_transitions(episode("expired", "raised"), [ALERT_ID])
    )


def test_a_wrong_predecessor_is_said() -> None:
    whole = episode("raised", "resolved")
    whole[1].data.supersedes = "other"
    assert any("does not supersede" in said for said in promises.broken_transitions(whole, []))


@pytest.mark.parametrize(("statuses", "still_open"), [(["raised"], []), (["raised", "expired"], [ALERT_ID])])
def test_open_alerts_that_disagree_are_said(statuses: list[str], still_open: list[str]) -> None:
    said = promises.broken_transitions(episode(*statuses), still_open)
    assert said == ["1 alerts are open in one topic and not in the other"]


def test_folds_are_compared_type_by_type() -> None:
    profiles = [Profile(browses=2, purchases=1), Profile(browses=1, messages_opened=1)]
    folded = promises.folded_by_type(profiles)
    assert promises.broken_folds({"browse": 3, "purchase": 1, "opened": 1}, folded) == []
    assert promises.broken_folds({"browse": 4, "purchase": 1, "opened": 1}, folded) == [
        "4 distinct browse events were sent, the profiles hold 3"
    ]


def test_dead_letters_are_compared_code_by_code() -> None:
    assert promises.broken_dead_letters(["not_json", "not_json"], ["not_json", "not_json"]) == []
    assert promises.broken_dead_letters(["not_json"], ["too_late"]) == [
        "1 records should have become dead letters not_json, 0 did",
        "0 records should have become dead letters too_late, 1 did",
    ]


def test_every_question_has_one_answer() -> None:
    assert promises.broken_answers(["1", "2"], ["2", "1"]) == []
    said = promises.broken_answers(["1", "2"], ["1", "1", "3"])
    assert said == [
        "1 answers were given twice",
        "1 of 2 requests for a score were not answered",
        "1 answers were given that nobody asked for",
    ]


def recommended(item_id: str, revision: int = 1) -> Recommendation:
    items = [RecommendedItem(0, item_id, 1.0, RecommendationReason("popular_now"), "trending")] if item_id else []
    return Recommendation(f"r{revision}", revision, "c", AT, AT, "live", items, STAMP, "p", "c")


def test_recommendations_are_there_once_not_empty_and_known() -> None:
    assert promises.broken_recommendations([recommended("p1")], {"p1"}) == []
    assert promises.broken_recommendations([], {"p1"}) == ["no recommendation was published"]
    assert promises.broken_recommendations([recommended("p1"), recommended("p9"), recommended("", 2)], {"p1"}) == [
        "1 lists of recommendations came twice by id",
        "1 lists of recommendations are empty",
        "1 recommended items are not in the catalogue, such as p9",
    ]
