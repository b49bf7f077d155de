"""Everything at once: a webhook that fails half of the time, is slow, asks to be left alone and is killed, and
subscriptions that are killed, two of them at a time. What was committed arrives, in order by customer."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream.configuration.settings import Configuration
from stream.contracts.alerts import AlertEvent
from stream.contracts.codec import encode
from stream.testing.waiting import eventually
from tests.integration.operations.subscriptions.alerting import produce, transition
from tests.integration.operations.subscriptions.reading import given_up
from tests.integration.operations.subscriptions.receiver import Manners, Receiver, Seen

CUSTOMERS, REVISIONS, ROUNDS = 40, 8, 5
POISON, POISONED = "customer-7", 2
OPTIONS = ["--from", "beginning", "--allow-private", "--longest-wait", "1", "--timeout", "2"]
SEED = random.randrange(1_000_000)


@contextmanager
def subscribed(environ: dict[str, str], url: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`tidemark subscribe` in a process of its own, killed when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "subscribe", "--name", "crm", "--to", url, *OPTIONS, *more],
        env={**os.environ, **environ},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def first_times(seen: list[Seen]) -> dict[str, list[int]]:
    """The revisions by customer, each at its first arrival."""
    order: dict[str, dict[int, None]] = {}
    for each in seen:
        order.setdefault(each.customer, {})[each.revision] = None
    return {customer: list(revisions) for customer, revisions in order.items()}


@pytest.mark.slow
def test_nothing_is_lost_and_order_holds_whatever_is_killed(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    told: list[AlertEvent] = [
        transition(f"customer-{customer}", revision)
        for revision in range(1, REVISIONS + 1)
        for customer in chance.sample(range(CUSTOMERS), CUSTOMERS)
        if customer != 7 or revision <= POISONED
    ]
    manners = Manners(failing=0.5, slow_s=0.1, busy_every=97, busy_s=1, always={POISON: 500}, seed=SEED)
    batches = [told[at : at + CUSTOMERS] for at in range(0, len(told), CUSTOMERS)]
    with Receiver(tmp_path, manners) as receiver:
        for number, batch in enumerate(batches[:ROUNDS]):
            produce(deployment, batch)
            produce(deployment, [transition(f"rolled-back-{number}")], commit=False)
            with subscribed(environ, receiver.url), subscribed(environ, receiver.url):
                already = len(receiver.taken())
                eventually(lambda already=already: len(receiver.taken()) > already + 20, timeout=20)
                if number % 3 == 1:
                    receiver.kill()
                    time.sleep(chance.random())
                    receiver.start()
                time.sleep(chance.random())
        for batch in batches[ROUNDS:]:
            produce(deployment, batch)
        with subscribed(environ, receiver.url, "--once") as last:
            assert last.wait(240) == 0
        taken = receiver.taken()

    bodies = {event.id: encode(event).decode() for event in told}
    assert all(each.signed and bodies[each.id] == each.body for each in receiver.seen())
    letters = given_up(deployment)
    undelivered = {body.decode() for letter, body in letters}
    assert {each.body for each in taken} | undelivered == set(bodies.values()), "nothing is lost"
    assert all(f'"customer_id":"{POISON}"' in body for body in undelivered), "the others were only kept waiting"
    assert {bodies[transition(POISON, revision).id] for revision in range(1, POISONED + 1)} <= undelivered
    for customer, revisions in first_times(taken).items():
        assert revisions == sorted(revisions), customer
    print(f"{len(taken):,} taken for {len(told):,} alerts, {len(receiver.seen()):,} requests, {len(letters)} letters")


def test_sigterm_ends_after_the_attempts_under_way_and_they_are_not_made_again(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    produce(deployment, [transition(f"customer-{number}") for number in range(40)])
    with Receiver(tmp_path, Manners(slow_s=1.5)) as receiver:
        with subscribed(environ, receiver.url, "--parallel", "4") as process:
            assert eventually(lambda: len(receiver.taken()) > 8)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert len(receiver.taken()) < 40
        with subscribed(environ, receiver.url, "--once") as last:
            assert last.wait(60) == 0
        assert sorted(each.customer for each in receiver.taken()) == sorted(f"customer-{n}" for n in range(40))
