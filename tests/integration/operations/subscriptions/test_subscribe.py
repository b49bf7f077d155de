"""`tidemark subscribe` on a real broker and against a real webhook: what is asked for is delivered, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.codec import encode
from stream.operations.brokers import connect_admin
from stream.operations.subscriptions.subscribe import Wish, subscribe
from stream.operations.topics import create_topics
from stream.testing.topics import Topics
from tests.integration.operations.subscriptions.alerting import EXAMPLE, produce, transition
from tests.integration.operations.subscriptions.receiver import SECRET, Manners, Receiver


@pytest.fixture
def environ(topics: Topics) -> dict[str, str]:
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
        "TIDEMARK__TOPICS__PARTITIONS": "3",
        "TIDEMARK__ENGINE__SESSION_TIMEOUT_MS": "1000",
        "TIDEMARK__SUBSCRIPTIONS__CRM_SECRET": SECRET,
    }


@pytest.fixture
def deployment(environ: dict[str, str]) -> Configuration:
    configuration = load(None, environ).configuration
    create_topics(connect_admin(configuration.kafka), configuration.topics)
    return configuration


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path, Manners()) as started:
        yield started


def wish(to: str, **more: Any) -> Wish:
    return Wish(name="crm", to=to, start="beginning", once=True, allow_private=True, **more)


def test_what_was_committed_is_delivered_signed_and_in_order_and_nothing_else_is(
    deployment: Configuration, receiver: Receiver
) -> None:
    told = [transition(f"customer-{number % 5}", 1 + number // 5) for number in range(30)]
    held_out = transition("control")
    held_out.data.experiment = replace(EXAMPLE.data.experiment, arm="holdout")
    produce(deployment, told[:15])
    produce(deployment, [transition("rolled-back")], commit=False)
    produce(deployment, [held_out])
    produce(deployment, [transition("of-the-control-group")], logical=logical.ALERTS_HOLDOUT)
    produce(deployment, told[15:])

    ends = subscribe(deployment, wish(receiver.url))

    assert ends == {"delivered": 30, "skipped": 1}
    seen = receiver.seen()
    assert {each.body.encode() for each in seen} == {encode(event) for event in told}
    assert all(each.signed for each in seen)
    for number in range(5):
        assert [each.revision for each in seen if each.customer == f"customer-{number}"] == [1, 2, 3, 4, 5, 6]
    assert subscribe(deployment, wish(receiver.url)) == {}, "what was delivered once is not delivered again"
