"""A fold that doubled revenue for a day is found, its effect is shown, and what was said is put right: in the end
whoever reads alerts by id, views and lists knows what they would know had there never been the bug.

Two deployments fold one log, with the shipped model inside the workers; one of them has the bug.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from stream.contracts import topics
from stream.contracts.codec import decode_event, decode_recommendation, encode
from stream.contracts.ids import message_id
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.decisions.messages import ENDED
from stream.decisions.repair import bare
from stream.engine.processor import Context, Parsed
from stream.operations.history.verifying import verify
from stream.operations.repairs.hold import RepairRefused
from stream.operations.repairs.repair import Repair
from stream.operations.replays.begin import Wanted, begin
from stream.operations.replays.compare import compare
from stream.operations.replays.run import Run
from stream.profiles.profile import Profile
from stream.testing.topics import Topics
from stream.workers.profiles import Folding, ProfilesProcessor
from tests.chaos.read_back import flat, read_topic
from tests.end_to_end.deployments import Deployment, await_idle, deciding, deployed, profiles_of, small_shop
from tests.end_to_end.repeats import Shop
from tests.integration.operations.work import working

EVENTS = 2_500
NAME = "fixed"
REASON = "revenue of a day counted twice"

pytestmark = pytest.mark.timeout(300)


class Doubling(ProfilesProcessor):
    """The bug: what is bought on one day counts twice."""

    day = 0

    def fold(
        self, state: Profile | None, parsed: Parsed[Folding], answer: Any, context: Context[Folding]
    ) -> Profile | None:
        event = parsed.payload.event
        if event.type == "purchase" and parsed.time // DAY_MS == self.day:
            items = [replace(item, price=2 * (item.price or 0.0)) for item in event.items]
            parsed = replace(parsed, payload=Folding(replace(event, items=items), parsed.payload.redriven))
        return super().fold(state, parsed, answer, context)


@pytest.fixture(scope="module")
def shop(own_topics: Topics, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return small_shop(own_topics, tmp_path_factory.mktemp("repair"), "repair", EVENTS)


@pytest.fixture(scope="module")
def bad_day(shop: Shop) -> int:
    """The day on which most was bought, counted from the epoch."""
    bought: Counter[int] = Counter()
    for record in flat(read_topic(shop.servers, shop.events_topic)):
        try:
            event = decode_event(record.value or b"")
        except msgspec.DecodeError:
            continue
        if event.type == "purchase":
            bought[to_epoch_ms(event.time) // DAY_MS] += 1
    return bought.most_common(1)[0][0]


@pytest.fixture(scope="module")
def sound(shop: Shop, own_topics: Topics) -> Deployment:
    """The run that never had the bug."""
    made = deployed(shop, own_topics.name("sound."))
    with deciding(made.configuration):
        with working(made.configuration, profiles_of(made.configuration, ProfilesProcessor)):
            pass
        await_idle(made.configuration)
    return made


@pytest.fixture(scope="module")
def wrong(shop: Shop, own_topics: Topics, bad_day: int) -> Iterator[Deployment]:
    """The run that had the bug; its workers of role decisions go on."""
    made = deployed(shop, own_topics.name("wrong."))
    with ExitStack() as stack:
        stack.enter_context(deciding(made.configuration))
        processor = profiles_of(made.configuration, Doubling)
        processor.day = bad_day  # type: ignore[attr-defined]
        with working(made.configuration, processor):
            pass
        await_idle(made.configuration)
        yield made


@pytest.fixture(scope="module")
def replayed(wrong: Deployment) -> Deployment:
    """With the replay that was made after the bug was mended."""
    live = wrong.configuration
    done = Run(live, begin(live, NAME, Wanted()), lambda *_: None).work().replay
    assert 0 < done.asked < done.records / 2, "only questions about other profiles are put again"
    return wrong


@pytest.fixture(scope="module")
def repaired(replayed: Deployment, sound: Deployment) -> Deployment:
    """Put right by a command that is killed again and again."""
    assert not verify(replayed.configuration).passed
    found = compare(replayed.configuration, "live", NAME, examples=3)
    assert found.alerts.different > 0, found
    before = replayed.alerts()
    assert {each: bare(known[-1]) for each, known in before.items()} != {
        each: bare(known[-1]) for each, known in sound.alerts().items()
    }
    seed = int(os.environ.get("REPAIR_SEED", random.SystemRandom().randrange(1_000)))
    print(f"REPAIR_SEED={seed}")
    draw, kills = random.Random(seed), 0
    command = [sys.executable, "-m", "stream.cli", "--config", replayed.config, "repair", NAME]
    forecast = subprocess.run(command, env=os.environ | replayed.environ, capture_output=True, text=True, timeout=60)
    assert forecast.returncode == 0, forecast.stderr
    assert "nothing was changed" in forecast.stdout
    assert max(map(len, forecast.stdout.splitlines())) <= 80
    for moment in ("looking for what differs", "partition", "publish it", None):
        with subprocess.Popen(
            [*command, "--apply", "--reason", REASON],
            env=os.environ | replayed.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if moment is not None and moment in line:
                    time.sleep(draw.uniform(0, 0.3))
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
            process.wait(90.0)
        assert process.returncode in (0, -signal.SIGKILL), said
        print(said)
    assert process.returncode == 0, said
    assert kills >= 2
    return replayed


def test_state_is_that_of_the_log_and_no_alert_is_there_too_much_or_missing(repaired: Deployment) -> None:
    live = repaired.configuration
    found = verify(live)
    assert found.passed, found.mismatches[:1]
    alerts = compare(live, "live", NAME, examples=5).alerts
    assert (alerts.appeared, alerts.vanished, alerts.moved) == (0, 0, 0)


def test_alerts_read_by_id_are_those_of_a_run_that_never_had_the_bug(repaired: Deployment, sound: Deployment) -> None:
    ours, theirs = repaired.alerts(), sound.alerts()
    withdrawn = {each for each, known in ours.items() if known[-1].status == "corrected" and known[-1].correction}
    assert ours.keys() - withdrawn == theirs.keys()
    for alert_id, known in theirs.items():
        assert bare(ours[alert_id][-1]) == bare(known[-1])
    assert any(known[-1].correction for known in ours.values())


def test_every_transition_has_an_id_of_its_own_and_follows_the_one_before(repaired: Deployment) -> None:
    for alert_id, known in repaired.alerts().items():
        revisions = [alert.revision for alert in known]
        assert revisions == sorted(set(revisions)), "no message id twice"
        for before, after in pairwise(known):
            assert after.supersedes == message_id(alert_id, before.revision)
            assert after.previous_status == before.status
        for alert in known:
            if alert.correction is not None:
                assert (alert.correction.repair, alert.correction.reason) == (NAME, REASON)


def test_views_lists_and_open_alerts_are_those_of_a_run_that_never_had_the_bug(
    repaired: Deployment, sound: Deployment
) -> None:
    def lists(of: Deployment) -> dict[bytes, bytes]:
        found = of.newest(topics.RECOMMENDATIONS)
        return {
            key: encode(replace(decode_recommendation(value), recommendation_id="", revision=0))
            for key, value in found.items()
        }

    assert repaired.newest(topics.PREDICTIONS) == sound.newest(topics.PREDICTIONS)
    assert len(lists(sound)) > 10
    assert lists(repaired) == lists(sound)
    still_open = {
        known[-1].alert_id
        for known in repaired.alerts().values()
        if known[-1].status not in ENDED and known[-1].experiment.arm == "treatment"
    }
    assert {key.decode() for key in repaired.newest(topics.ALERTS_OPEN)} == still_open
    assert repaired.newest(topics.ALERTS_OPEN).keys() == sound.newest(topics.ALERTS_OPEN).keys()


def test_workers_begin_where_they_were(repaired: Deployment) -> None:
    live = repaired.configuration
    before = repaired.read(topics.ALERTS)
    with working(live, profiles_of(live, ProfilesProcessor)), pytest.raises(RepairRefused, match="stop them first"):
        Repair(live, NAME, REASON, lambda _: None, lambda replay: Run(live, replay, lambda *_: None), 0.0).work()
    await_idle(live)
    assert repaired.read(topics.ALERTS) == before
    assert verify(live).passed
