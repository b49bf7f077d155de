"""`tidemark subscribe` on a real broker and against a real webhook: what is asked for arrives, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.alerts import Evidence
from stream.contracts.codec import encode
from stream.contracts.erasures import Erasure, erasure_key
from stream.operations.subscriptions.endpoint import EndpointRefuses
from stream.operations.subscriptions.intake import NoPosition
from stream.operations.subscriptions.subscribe import UnusableWish, Wish, subscribe
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from stream.workers.erased import read_erasures
from tests.integration.operations.subscriptions.alerting import EXAMPLE, produce, transition
from tests.integration.operations.subscriptions.reading import committed, given_up
from tests.integration.operations.subscriptions.receiver import Manners, Receiver


def wish(to: str, **more: Any) -> Wish:
    given: dict[str, Any] = {"name": "crm", "start": "beginning", "once": True, "allow_private": True}
    return Wish(to=to, **{**given, **more})


class Running:
    """A subscription in a thread, until the block ends."""

    def __init__(self, deployment: Configuration, wanted: Wish) -> None:
        self._stop: list[Callable[[], None]] = []
        self._failures: list[BaseException] = []
        self._ends: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, args=(deployment, wanted), daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        assert eventually(lambda: self._stop)
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> dict[str, int]:
        self._stop[0]()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not self._failures, self._failures
        return self._ends

    def _run(self, deployment: Configuration, wanted: Wish) -> None:
        try:
            self._ends = subscribe(deployment, wanted, on_begin=self._stop.append)
        except BaseException as failure:
            self._failures.append(failure)


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


def test_what_is_refused_is_given_up_at_once_with_the_answer_and_can_be_tried_again(
    deployment: Configuration, tmp_path: Path
) -> None:
    produce(deployment, [transition(customer, revision) for revision in (1, 2) for customer in ("ann", "bob")])
    with Receiver(tmp_path, Manners(always={"ann": 422})) as receiver:
        assert subscribe(deployment, wish(receiver.url)) == {"delivered": 2, "refused": 2}
        assert len(receiver.seen(422)) == 2
        letters = given_up(deployment)
        assert [(letter.subscription, letter.code, letter.message, letter.tries) for letter, _ in letters] == [
            ("crm", "refused", "422 Unprocessable Entity: so it is", 1)
        ] * 2
        assert [body for _, body in letters] == [encode(transition("ann", 1)), encode(transition("ann", 2))]

        receiver.kill()
        receiver.start(Manners())
        other = replace(wish(receiver.url), name="other", undelivered=True)
        with pytest.raises(UnusableWish, match="TIDEMARK__SUBSCRIPTIONS__OTHER_SECRET"):
            subscribe(deployment, other)
        assert subscribe(deployment, wish(receiver.url, undelivered=True)) == {"delivered": 2}
        assert [(each.customer, each.revision) for each in receiver.taken()[2:]] == [("ann", 1), ("ann", 2)]


@pytest.mark.slow
def test_a_customer_who_always_fails_blocks_nobody_and_is_given_up(deployment: Configuration, tmp_path: Path) -> None:
    produce(deployment, [transition("ann", 1)])
    with Receiver(tmp_path, Manners(always={"ann": 500})) as receiver:
        with Running(deployment, wish(receiver.url, once=False, attempts=2)) as running:
            assert eventually(lambda: len(receiver.seen(500)) == 3), "nobody can know yet whose fault it is"
            assert given_up(deployment) == []
            customers = [f"customer-{number}" for number in range(40)]
            produce(deployment, [transition(customer) for customer in customers])
            assert eventually(lambda: len(receiver.taken()) == 40)
            assert committed(deployment) < 40, "hers is not done"
            more = iter(range(1_000))

            def done() -> bool:
                produce(deployment, [transition(f"later-{next(more)}")])
                return bool(given_up(deployment))

            assert eventually(done, timeout=90)
            assert running.end()["exhausted"] == 1
        assert [(letter.code, body) for letter, body in given_up(deployment)] == [
            ("exhausted", encode(transition("ann", 1)))
        ]
        tried = len(receiver.seen(500))
        subscribe(deployment, wish(receiver.url))
        assert len(receiver.seen(500)) == tried, "what was given up is not tried again"


@pytest.mark.slow
def test_while_the_endpoint_is_down_nothing_is_given_up(deployment: Configuration, tmp_path: Path) -> None:
    told = [transition(f"customer-{number}") for number in range(20)]
    produce(deployment, told)
    with Receiver(tmp_path, Manners()) as receiver:
        receiver.kill()
        with Running(deployment, wish(receiver.url, once=False, attempts=1)) as running:
            assert not eventually(lambda: given_up(deployment), timeout=5)
            assert committed(deployment) == 0
            receiver.start()
            assert eventually(lambda: len(receiver.taken()) == 20, timeout=45)
            assert running.end() == {"delivered": 20}
    assert given_up(deployment) == []


def test_an_endpoint_that_is_gone_ends_the_subscription_and_loses_nothing(
    deployment: Configuration, tmp_path: Path
) -> None:
    told = [transition(f"customer-{number % 7}", 1 + number // 7) for number in range(70)]
    produce(deployment, told)
    with Receiver(tmp_path, Manners(gone_after=30)) as receiver:
        with pytest.raises(EndpointRefuses, match="410 Gone"):
            subscribe(deployment, wish(receiver.url))
        taken = {each.id for each in receiver.taken()}
        assert len(taken) == 30
        assert given_up(deployment) == []
        receiver.kill()
        receiver.start(Manners())
        subscribe(deployment, wish(receiver.url))
        assert {each.id for each in receiver.taken()} == {event.id for event in told}


def test_an_endpoint_that_refuses_everybody_ends_the_subscription(deployment: Configuration, tmp_path: Path) -> None:
    produce(deployment, [transition(f"customer-{number}") for number in range(200)])
    with Receiver(tmp_path, Manners(always={"*": 401})) as receiver:
        with pytest.raises(EndpointRefuses, match="refused 10 customers in a row, the last with 401 Unauthorized"):
            subscribe(deployment, wish(receiver.url, parallel=4))
        assert 10 <= len(given_up(deployment)) <= 14


@pytest.mark.parametrize("http_date", [False, True], ids=["seconds", "date"])
def test_what_the_endpoint_asks_for_holds_for_everybody(
    deployment: Configuration, tmp_path: Path, http_date: bool
) -> None:
    produce(deployment, [transition(f"customer-{number}") for number in range(24)])
    with Receiver(tmp_path, Manners(busy_every=10, busy_s=2, http_date=http_date)) as receiver:
        assert subscribe(deployment, wish(receiver.url, parallel=2)) == {"delivered": 24}
        seen = receiver.seen()
    for asked in (each for each in seen if each.status == 429):
        # One more may have been on its way.
        within = [each for each in seen if asked.ended + 0.1 < each.began < asked.ended + 1.9]
        assert not within


def test_what_waits_for_another_attempt_is_dropped_when_its_customer_is_erased(
    deployment: Configuration, topics: Topics, tmp_path: Path
) -> None:
    names, kafka = deployment.topics.topic_names(), client_properties(deployment.kafka)
    known = read_erasures(kafka, names, deployment.deployment.secret, "decisions")
    before, after = (Evidence("events", 1, offset, offset) for offset in (10, 20))
    told = [
        transition("ann", 1, evidence=before),
        transition("ann", 2, evidence=before),
        transition("ann", 3, status="resolved", resolve_reason="erased", evidence=before),
        transition("ann", 1, episode=5, evidence=after),
    ]
    produce(deployment, told)
    erasure = Erasure(role="decisions", topic_id=known.topic_id, partition=1, offset=15, erased_at=0)
    key = erasure_key(deployment.deployment.secret.encode(), "decisions", b"ann")
    with Receiver(tmp_path, Manners(always={"ann": 503})) as receiver:
        with Running(deployment, wish(receiver.url, once=False)) as running:
            assert eventually(lambda: receiver.seen(503))
            topics.produce(names.physical(logical.ERASURES), [(key, encode(erasure))])
            assert eventually(lambda: receiver.seen(503)[-1].revision == 3)
            receiver.kill()
            receiver.start(Manners())
            assert eventually(lambda: len(receiver.taken()) == 2, timeout=45)
            assert running.end() == {"erased": 2, "delivered": 2}
        assert [(each.id, each.revision) for each in receiver.taken()] == [(told[2].id, 3), (told[3].id, 1)]


def test_nothing_is_sent_to_this_machine_unless_it_is_allowed(deployment: Configuration, receiver: Receiver) -> None:
    produce(deployment, [transition("ann")])
    with pytest.raises(UnusableWish, match="plain http"):
        subscribe(deployment, wish(receiver.url, allow_private=False))
    with pytest.raises(UnusableWish, match="neither a name nor an address"):
        subscribe(deployment, wish("https://2130706433/", allow_private=False))
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1"):
        url = receiver.url.replace("http://127.0.0.1", f"https://{host}")
        with pytest.raises(EndpointRefuses, match="not one of the public Internet"):
            subscribe(deployment, wish(url, allow_private=False))
    assert receiver.seen() == []
    assert given_up(deployment) == []
    assert subscribe(deployment, wish(receiver.url)) == {"delivered": 1}


def test_a_redirect_keeps_the_request_and_its_signature(deployment: Configuration, tmp_path: Path) -> None:
    produce(deployment, [transition("ann")])
    with (
        Receiver(tmp_path, Manners()) as there,
        Receiver(tmp_path, Manners(redirect=there.url)) as here,
    ):
        assert subscribe(deployment, wish(here.url)) == {"delivered": 1}
        assert [(each.customer, each.signed) for each in there.taken()] == [("ann", True)]


def test_redirects_have_an_end(deployment: Configuration, tmp_path: Path) -> None:
    produce(deployment, [transition("ann")])
    with Receiver(tmp_path, Manners()) as here:
        here.kill()
        here.start(Manners(redirect="/alerts/again"))
        assert subscribe(deployment, wish(here.url)) == {"refused": 1}
        assert len(here.seen(307)) == 4


def test_a_subscription_begins_where_it_is_told_once(deployment: Configuration, receiver: Receiver) -> None:
    produce(deployment, [transition("before")])
    with pytest.raises(NoPosition, match="--from now or --from beginning"):
        subscribe(deployment, wish(receiver.url, start=None))
    assert subscribe(deployment, wish(receiver.url, start="now")) == {}
    produce(deployment, [transition("after")])
    assert subscribe(deployment, wish(receiver.url, start="now")) == {"delivered": 1}, "now was then"
    assert [each.customer for each in receiver.taken()] == ["after"]
    assert subscribe(deployment, wish(receiver.url, start=None)) == {}


def test_a_record_that_is_no_alert_is_given_up_and_holds_nothing_up(
    deployment: Configuration, topics: Topics, receiver: Receiver
) -> None:
    topic = deployment.topics.topic_names().physical(logical.ALERTS)
    topics.produce(topic, [("ann", b"{}"), ("ann", None), ("eve", encode(transition("ann")))])
    produce(deployment, [transition("ann")])
    assert subscribe(deployment, wish(receiver.url)) == {"unreadable": 3, "delivered": 1}
    assert sorted(body for _, body in given_up(deployment)) == [b"", encode(transition("ann")), b"{}"]


def test_a_command_gets_the_event_on_a_line_and_its_status_is_the_answer(
    deployment: Configuration, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    script = tmp_path / "take.sh"
    script.write_text(
        f"""#!/bin/sh
line=$(cat)
case $line in
  *'"customer_id":"bob"'*) exit 65 ;;
  *'"customer_id":"eve"'*) if [ ! -e {tmp_path}/tried ]; then touch {tmp_path}/tried; exit 75; fi ;;
esac
printf '%s\\n' "$line" >> {out}
"""
    )
    script.chmod(0o755)
    told = [transition(customer, revision) for revision in (1, 2) for customer in ("ann", "bob", "eve")]
    produce(deployment, told)
    assert subscribe(deployment, wish(str(script), parallel=1)) == {"delivered": 4, "refused": 2}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    taken = [(line["subject"], line["data"]["revision"]) for line in lines]
    assert [revision for customer, revision in taken if customer == "ann"] == [1, 2]
    assert [revision for customer, revision in taken if customer == "eve"] == [1, 2]
    assert [letter.message for letter, _ in given_up(deployment)] == ["exit status 65"] * 2
