"""A repair changes exactly the state that it was made for, and says what it brings once."""

from msgspec.structs import replace

from stream.contracts import topics
from stream.contracts.alerts import Correction
from stream.contracts.codec import encode
from stream.contracts.emission import Origin
from stream.contracts.repairs import Repair
from stream.contracts.scores import ScoreRequest
from stream.decisions import codec
from stream.decisions.repair import bare, digest, repair

WHY = Correction("fixed", "revenue counted twice", "2026-11-24T05:00:00.000Z")
AT = Origin("customer.score-requests.v1", 0, 4711)


def asked(wanted: Repair) -> ScoreRequest:
    return ScoreRequest(kind="repair", customer_id="c1", repair=encode(wanted))


def put_right(customer, wanted: Repair):
    return repair(customer.state, asked(wanted), AT, customer.deployment)


def test_state_and_transition_are_those_of_the_repair(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    after = customer.state
    revised = replace(raised, score=0.75, revision=2, status="updated", correction=WHY)
    state, outputs = put_right(
        customer, Repair(expects=digest(customer.state), state=codec.encode(after), alerts=[revised])
    )
    (said,) = type(customer.asks(91, 0.85))(outputs).alerts
    assert (said.score, said.revision, said.correction) == (0.75, 2, WHY)
    assert said.evidence.request_offset == AT.offset
    assert state.episodes["churn_risk"].alert == said, "what follows goes on from what was published"
    assert [output.topic for output in outputs] == [topics.ALERTS, topics.ALERTS_OPEN]


def test_a_repair_that_was_made_for_another_state_changes_nothing(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    wanted = Repair(expects=digest(customer.state), gone=[topics.PREDICTIONS])
    customer.asks(91, 0.9)
    before = customer.state
    assert put_right(customer, wanted) == (before, [])


def test_a_customer_whom_the_replay_does_not_know_is_forgotten(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    gone = [topics.PREDICTIONS, topics.RECOMMENDATIONS]
    state, outputs = put_right(customer, Repair(expects=digest(customer.state), gone=gone))
    assert state is None
    assert [(output.topic, output.value) for output in outputs] == [(topic, None) for topic in gone]
    # Given again, it was made for a state that is not there any more.
    assert repair(state, asked(Repair(expects="gone", gone=gone)), AT, customer.deployment) == (None, [])


def test_how_often_and_where_something_was_said_is_no_part_of_what_it_says(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    again = replace(
        raised,
        status="updated",
        revision=7,
        supersedes="x",
        previous_score=0.1,
        previous_status="raised",
        correction=WHY,
        evidence=replace(raised.evidence, request_offset=9),
    )
    assert bare(again) == bare(raised)
    assert bare(replace(raised, score=0.1)) != bare(raised)
    assert bare(replace(raised, status="resolved")) != bare(raised)
