"""`tidemark campaigns report` on a real broker: what it tells of alerts on both topics and of what their customers did
is what a person counts."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from confluent_kafka import Producer, TopicPartition
from msgspec.structs import replace

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.alerts import Alert, Correction, Evidence, Experiment, Money
from stream.contracts.codec import encode
from stream.contracts.emission import Output
from stream.contracts.events import Attribution, Engagement, Event, Item
from stream.contracts.ids import alert_id
from stream.contracts.partitioning import partition_for
from stream.contracts.times import DAY_MS, to_rfc3339
from stream.decisions.deployment import Deployment
from stream.decisions.messages import transition
from stream.operations.brokers import connect_admin, ends_of
from stream.testing.topics import Topics
from stream.workers.erased import read_erasures
from stream.workers.process import VERSION
from stream.workers.profiles import ProfilesProcessor
from tests.integration.operations.work import command, working
from tests.unit.operations.messages import alert as message

PARTITIONS = 3
START = 1_300_000_000_000
DAYS = 30
SECRET = Deployment(secret=b"campaigns")


@pytest.fixture
def environ(topics: Topics) -> dict[str, str]:
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
        "TIDEMARK__TOPICS__PARTITIONS": str(PARTITIONS),
        "TIDEMARK__PROFILES__EXCHANGE_RATES": '{"EUR": 0.8}',
    }


def raised(customer: str, arm: str, day: float, **fields: object) -> Alert:
    """An alert of a customer who spent a little last year, by the alert's value at risk."""
    at = to_rfc3339(START + int(day * DAY_MS))
    usual: dict[str, object] = {
        "alert_id": alert_id(SECRET.secret, customer, "churn_risk", int(day)),
        "customer_id": customer,
        "as_of": at,
        "episode_started_at": at,
        "experiment": Experiment("alerts", arm, 0.4, "1"),  # type: ignore[arg-type]
        "value_at_risk": Money(20.0, "GBP"),
        "evidence": Evidence("customer.events.v1", partition_for(customer.encode(), PARTITIONS), 0, 0),
    }
    return message(**{**usual, **fields}).data


def event(customer: str, type_: str, day: float, name: str = "", **fields: object) -> Event:
    usual: dict[str, object] = {
        "event_id": f"{customer} {type_} {day} {name}",
        "type": type_,
        "time": START + int(day * DAY_MS),
        "customer_id": customer,
    }
    return Event(**{**usual, **fields})  # type: ignore[arg-type]


def bought(customer: str, day: float, price: float, units: float = 1.0, **fields: object) -> Event:
    items = [Item("mug", price=price, quantity=units)]
    return event(customer, "purchase", day, items=items, **{"transaction_id": f"{customer} {day}", **fields})


def returned(customer: str, day: float, order: float, items: Iterable[Item] = ()) -> Event:
    return event(customer, "return", day, transaction_id=f"{customer} {order}", items=list(items))


CORRECTION = Correction("fixed", "a wrong rule", to_rfc3339(START + 140 * DAY_MS))
CORRECTED = raised("t6", "treatment", 100)
NOTED = raised("t5", "treatment", 100)

ALERTS = [
    *(raised(f"t{number}", "treatment", 100) for number in (1, 2, 3, 4)),
    NOTED,
    CORRECTED,
    replace(CORRECTED, status="corrected", revision=2, correction=CORRECTION),
    *(raised(f"h{number}", "holdout", 100) for number in (1, 2, 3)),
    raised("h4", "holdout", 100, value_at_risk=Money(400.0, "GBP")),
    # Of the hold-out twice: the second time is no second customer.
    raised("h4", "holdout", 115, kind="second_purchase"),
    raised("erased", "treatment", 100),
    raised("pretended", "treatment", 100, simulated=True),
    raised("new", "treatment", 120, kind="second_purchase"),
    raised("late", "holdout", 100, correction=CORRECTION),
]

EVENTS = [
    bought("h4", 99, 500.0),
    bought("t1", 105, 2.5, 4.0),
    bought("t1", 105, 2.5, 4.0),
    returned("t1", 110, 105, [Item("mug", quantity=1.0)]),
    bought("t2", 131, 70.0),
    bought("t3", 130, 20.0, currency="EUR"),
    bought("t4", 101, 90.0),
    returned("t4", 129, 101),
    event("t5", "engagement", 102, engagement=Engagement("opened"), attribution=Attribution(alert_id=NOTED.alert_id)),
    bought("t5", 103, 30.0),
    bought("h1", 120, 8.0),
    bought("h3", 120, 60.0, simulated=True),
    returned("h4", 101, 99),
    bought("erased", 101, 1_000.0),
    event("erased", "erase", 102),
    bought("late", 101, 1_000.0),
    # On every partition time has come so far; of one, an impossible time is refused and moves nothing.
    *(event(f"passer-by {number}", "browse", 135) for number in range(24)),
]


@pytest.fixture
def lived(deployment: Configuration, topics: Topics) -> Configuration:
    names = deployment.topics.topic_names()
    outputs: list[Output] = [output for alert in ALERTS for output in transition(alert, SECRET)]
    for output in outputs:
        topics.produce(names.physical(output.topic), [(output.key, output.value)])
    events = names.physical(logical.EVENTS)
    topics.produce(events, [(each.subject, encode(each)) for each in EVENTS])
    _aborted(deployment, events, bought("h2", 110, 5_000.0))
    topics.produce(events, [("h1", b"no json"), ("h1", encode(event("h1", "browse", 40_000)))])
    erasures = read_erasures(
        client_properties(deployment.kafka), names, deployment.deployment.secret, ProfilesProcessor.role
    )
    profiles = ProfilesProcessor(names, deployment.profiles, PARTITIONS, VERSION, erasures)
    with working(deployment, profiles):
        pass
    return deployment


def _aborted(deployment: Configuration, topic: str, event: Event) -> None:
    properties = {**client_properties(deployment.kafka), "partitioner": "murmur2_random", "transactional.id": topic}
    producer = Producer(properties)
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, key=event.subject, value=encode(event))
    producer.flush(10)
    producer.abort_transaction(10)


def test_the_figures_are_those_of_a_hand_count(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = command(["campaigns", "report", "--days", str(DAYS), "--json"], environ, capsys)
    assert code == 0
    told = json.loads(out)
    (campaign,) = told["campaigns"]
    rows = {(row["by"], row["value"]): row for row in campaign["rows"]}
    everybody = rows["all", "all"]
    # t1 7.50, t3 20 euros, t5 30; t2 too late, t4 returned, t6 nothing.
    assert everybody["treated"] == {
        "customers": 6,
        "not_over": 1,
        "buyers": 3,
        "revenue": 53.5,
        "reached": 1,
        "corrected": 1,
    }
    # h1 8; h2's was rolled back, h3's is simulated, h4's was before.
    assert everybody["holdout"] == {
        "customers": 4,
        "not_over": 0,
        "buyers": 1,
        "revenue": 8.0,
        "reached": 0,
        "corrected": 0,
    }
    assert everybody["buyers"]["difference"] == pytest.approx(3 / 6 - 1 / 4)
    assert everybody["revenue_uncapped"]["difference"] == pytest.approx(53.5 / 6 - 8.0 / 4)
    assert rows["segment", "high_value"]["holdout"]["customers"] == 1
    assert rows["segment", "new"]["treated"]["not_over"] == 1
    assert rows["kind", "churn_risk"]["holdout"]["customers"] == 4
    assert rows["month", "2011-06"]["treated"]["customers"] == 6
    assert told["customers_left_out"] == {"raised late, by a repair": 1, "erased": 1}
    assert told["alerts_left_out"] == {"simulated": 1}
    assert told["until"] == to_rfc3339(START + 135 * DAY_MS)
    assert (campaign["share"], campaign["mismatched"]) == (0.4, False)


def test_the_period_is_that_of_first_alerts(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """h4's second alert lies in it, the first one does not."""
    since = to_rfc3339(START + 110 * DAY_MS)
    code, out = command(["campaigns", "report", "--from", since, "--days", "7", "--json"], environ, capsys)
    (campaign,) = json.loads(out)["campaigns"]
    (everybody, *_) = campaign["rows"]
    assert code == 0
    assert (everybody["treated"]["customers"], everybody["holdout"]["customers"]) == (1, 0)
    assert everybody["buyers"] is None


def test_customers_whose_events_are_gone_are_left_out(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By retention, of one partition: nobody there can be known not to have bought."""
    events = lived.topics.topic_names().physical(logical.EVENTS)
    cut = partition_for(b"t1", PARTITIONS)
    admin = connect_admin(lived.kafka)
    ends = ends_of(admin, [TopicPartition(events, cut)], committed=True)
    for future in admin.delete_records([TopicPartition(events, cut, ends[events, cut] - 1)]).values():
        future.result(10)
    code, out = command(["campaigns", "report", "--days", str(DAYS), "--json"], environ, capsys)
    told = json.loads(out)
    here = ["t1", "t2", "t3", "t4", "t5", "t6", "h1", "h2", "h3", "h4", "new"]
    gone = [name for name in here if partition_for(name.encode(), PARTITIONS) == cut]
    assert code == 0
    assert told["customers_left_out"]["raised before the events that are kept"] == len(gone)
    (everybody, *_) = told["campaigns"][0]["rows"]
    assert sum(everybody[arm]["customers"] + everybody[arm]["not_over"] for arm in ("treated", "holdout")) == len(
        here
    ) - len(gone)


def test_a_time_without_alerts_is_said_to_be_one(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = command(["campaigns", "report", "--from", "2025-01-01"], environ, capsys)
    assert code == 5


def test_eighty_columns_tell_it(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = command(["campaigns", "report", "--days", str(DAYS), "--detect", "0.1"], environ, capsys)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "4 held out, 4 expected" in out
    assert "not enough yet for 10 points: 10 of" in out
