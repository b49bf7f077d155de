"""`tidemark state` on a real broker: a fold with a planted bug is found by folding the log afresh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.codec import encode
from stream.contracts.events import Event, Item
from stream.contracts.partitioning import partition_for
from stream.contracts.times import DAY_MS
from stream.engine.processor import Context, Parsed
from stream.operations.history.states import OffsetOutOfRange, state_at, state_now
from stream.operations.history.verifying import verify
from stream.profiles.profile import Profile
from stream.testing.topics import Topics
from stream.workers.process import VERSION
from stream.workers.profiles import Folding, ProfilesProcessor
from tests.integration.operations.work import command, working

PARTITIONS = 3
START = 1_300_000_000_000
CUSTOMERS = [f"c-{number}" for number in range(12)]
DAYS = 20
BAD_DAY = START // DAY_MS + 7
HIT = {f"c-{number}" for number in range(12) if number % 3 == 1}
"""Who buys on the bad day."""


class Doubling(ProfilesProcessor):
    """The bug: what is bought on one day counts twice."""

    def fold(
        self, state: Profile | None, parsed: Parsed[Folding], answer: Any, context: Context[Folding]
    ) -> Profile | None:
        event = parsed.payload.event
        if event.type == "purchase" and parsed.time // DAY_MS == BAD_DAY:
            items = [replace(item, price=2 * (item.price or 0.0)) for item in event.items]
            parsed = replace(parsed, payload=Folding(replace(event, items=items), parsed.payload.redriven))
        return super().fold(state, parsed, answer, context)


def written() -> list[Event]:
    """Twenty days: everybody looks at something every day, and buys every third one."""
    events = []
    for day in range(DAYS):
        for number, customer in enumerate(CUSTOMERS):
            bought = (day + number) % 3 == 2
            item = Item("mug", price=2.5, quantity=2.0)
            events.append(
                Event(
                    event_id=f"{customer}-{day}",
                    type="purchase" if bought else "browse",
                    time=START + day * DAY_MS + number * 1_000,
                    customer_id=customer,
                    transaction_id=f"{customer}-{day}" if bought else "",
                    items=[item],
                )
            )
    return events


def produce(deployment: Configuration, topics: Topics, events: list[Event]) -> None:
    name = deployment.topics.topic_names().physical(logical.EVENTS)
    for number in range(PARTITIONS):
        own = [
            (event.customer_id, encode(event))
            for event in events
            if partition_for(event.customer_id.encode(), PARTITIONS) == number
        ]
        topics.produce(name, own, partition=number)


@contextmanager
def folded(deployment: Configuration, kind: type[ProfilesProcessor]) -> Iterator[None]:
    """A worker has folded everything that is there, and runs until the block ends."""
    with working(deployment, kind(deployment.topics.topic_names(), deployment.profiles, PARTITIONS, VERSION)):
        yield


def test_a_sound_fold_is_verified_while_the_worker_goes_on(deployment: Configuration, topics: Topics) -> None:
    produce(deployment, topics, written())
    with folded(deployment, ProfilesProcessor):
        found = verify(deployment)
        assert found.passed
        assert sum(each.same for each in found.partitions) == len(CUSTOMERS)
        assert sum(each.events for each in found.partitions) == DAYS * len(CUSTOMERS)
        drawn = verify(deployment, sample=6, seed="s")
        assert drawn.passed
        assert 3 <= sum(each.same for each in drawn.partitions) < len(CUSTOMERS)

        # Any of the customer's offsets: what the fold says there is what the log says up to there.
        customer = CUSTOMERS[0]
        now = state_now(deployment, customer)
        assert now.profile is not None
        assert now.offset is not None
        at_end = state_at(deployment, customer, now.offset - 1)
        assert (at_end.profile, at_end.due) == (now.profile, now.due)
        earlier = state_at(deployment, customer, 0)
        assert (earlier.profile or {}).get("purchases", 0) < now.profile["purchases"]
        with pytest.raises(OffsetOutOfRange, match="partition"):
            state_at(deployment, customer, 10_000)


def test_a_fold_that_doubled_revenue_for_a_day_is_found_customer_by_customer(
    deployment: Configuration,
    topics: Topics,
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    produce(deployment, topics, written())
    with folded(deployment, Doubling):
        found = verify(deployment)
    assert not found.passed
    assert {mismatch.customer_id for mismatch in found.mismatches} == HIT
    assert found.wrong == len(HIT)
    for mismatch in found.mismatches:
        fields = {each.field: each for each in mismatch.differences}
        assert fields["revenue_cents"].live - fields["revenue_cents"].fresh == 500
        assert [row["revenue"] for row in fields["baskets"].live] == [10.0]
        assert "purchases" not in fields
    code, out = command(["state", "verify"], environ, capsys)
    assert code == 1
    assert "revenue_cents" in out
    assert max(map(len, out.splitlines())) <= 80
    assert command(["state", "verify", "--partition", "3"], environ, capsys)[0] == 2
    code, out = command(["state", "verify", "--json"], environ, capsys)
    assert (code, len(json.loads(out)["mismatches"])) == (1, len(HIT))


def test_what_the_log_has_lost_is_not_called_wrong(deployment: Configuration, topics: Topics) -> None:
    produce(deployment, topics, written())
    with folded(deployment, ProfilesProcessor):
        pass
    name = deployment.topics.topic_names().physical(logical.EVENTS)
    number = partition_for(CUSTOMERS[0].encode(), PARTITIONS)
    admin = AdminClient(client_properties(deployment.kafka))
    for future in admin.delete_records([TopicPartition(name, number, 15)]).values():
        future.result(10)
    found = verify(deployment, partitions=[number])
    (only,) = found.partitions
    assert found.passed
    assert only.log_begins == 15
    assert only.incomplete >= 1
    assert only.wrong == 0


def test_an_export_has_a_line_for_every_customer(
    deployment: Configuration,
    topics: Topics,
    environ: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    produce(deployment, topics, written())
    with folded(deployment, ProfilesProcessor):
        pass
    code, _ = command(["state", "export", str(tmp_path / "states.jsonl")], environ, capsys)
    lines = [json.loads(line) for line in (tmp_path / "states.jsonl").read_text().splitlines()]
    assert code == 0
    assert sorted(line["customer_id"] for line in lines) == sorted(CUSTOMERS)
    code, out = command(["state", "get", CUSTOMERS[0], "--json"], environ, capsys)
    assert (code, json.loads(out)["profile"]) == (
        0,
        next(line["profile"] for line in lines if line["customer_id"] == CUSTOMERS[0]),
    )
    code, out = command(["state", "get", CUSTOMERS[0]], environ, capsys)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    code, out = command(["state", "get", "nobody"], environ, capsys)
    assert code == 5
    assert "nothing is known" in out
