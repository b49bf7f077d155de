"""Policies applied while the workers run: every question is judged by those of its own time, live and in a replay, and
nothing is restarted."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stream.cli.policies_view import as_toml
from stream.contracts import topics
from stream.contracts.codec import decode_alert_event, decode_score
from stream.contracts.times import to_rfc3339
from stream.decisions.policy_history import name_of
from stream.operations.history.verifying import verify
from stream.operations.policies import history
from stream.operations.replays.begin import Wanted, begin
from stream.operations.replays.compare import compare
from stream.operations.replays.run import Run
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from stream.workers.process import build_processor
from stream.workers.profiles import ProfilesProcessor
from tests.end_to_end.deployments import Deployment, await_idle, deciding, deployed, profiles_of, small_shop
from tests.integration.operations.work import working

EVENTS = 1_200

pytestmark = pytest.mark.timeout(300)


def tidemark(made: Deployment, *words: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "stream.cli", "--config", made.config, "policies", *words]
    done = subprocess.run(
        command, env=os.environ | made.environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert max((len(line) for line in done.stdout.splitlines()), default=0) <= 80 or "--json" in words, done.stdout
    return done.stdout


def test_a_change_holds_from_its_time_on_for_running_workers_and_for_replays(
    own_topics: Topics, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = tmp_path_factory.mktemp("policies")
    shop = small_shop(own_topics, folder, "policies", EVENTS)
    made = deployed(shop, own_topics.name("policied."))
    live = made.configuration
    before = live.policies
    after = msgspec.structs.replace(before, holdout_share=1.0, salt_version="2")
    file = folder / "policies.toml"
    file.write_text(as_toml(after))
    file_before = folder / "before.toml"
    file_before.write_text(as_toml(before))
    with deciding(live):
        with working(live, profiles_of(live, ProfilesProcessor)):
            assert verify(live).passed
        await_idle(live)
        times = sorted(decode_score(value or b"").as_of for _, value in made.read(topics.SCORES))
    middle = times[len(times) // 2]

    # A second deployment over the same log, whose policies change at that time.
    changed = deployed(shop, own_topics.name("changed."))
    own = changed.configuration
    assert "hold for questions as of" not in tidemark(changed, "diff", str(file), expect=1)
    with build_processor(own, "decisions") as processor, working(own, processor):
        said = tidemark(
            changed, "apply", str(file), "--reason", "a test", "--actor", "ann", "--effective-at", to_rfc3339(middle)
        )
        assert to_rfc3339(middle) in said
        assert history(own).at(middle) == after
        assert history(own).at(middle - 1) == before
        assert eventually(lambda: processor.worth_noting()["policies"] == name_of(after))
        with working(own, profiles_of(own, ProfilesProcessor)):
            assert verify(own).passed
        await_idle(own)
    assert "ann" in tidemark(changed, "list")
    assert tidemark(changed, "show") == as_toml(after)
    assert "no difference" in tidemark(changed, "diff", str(file))

    versions = {score.policy_version for score in scores(changed) if score.as_of >= middle}
    assert versions.isdisjoint({score.policy_version for score in scores(changed) if score.as_of < middle})
    raised = [alert for alert in first_transitions(changed) if alert.experiment.salt_version == "2"]
    assert raised, "nothing was raised after the change: it says nothing"
    assert {alert.experiment.arm for alert in raised} == {"holdout"}
    assert all(alert.episode_started_at >= to_rfc3339(middle) for alert in raised)
    others = [alert for alert in first_transitions(changed) if alert.experiment.salt_version != "2"]
    assert others
    assert all(alert.episode_started_at < to_rfc3339(middle) for alert in others)

    # The replay knows which policies held when; one by the policies of before says what the first deployment said.
    Run(own, begin(own, "same", Wanted()), lambda *_: None).work()
    assert compare(own, "live", "same", examples=2).within(0.0)
    found = msgspec.json.decode(tidemark(changed, "simulate", str(file_before), "--name", "before", "--json"))
    assert found["alerts"]["first"] > 0
    assert not compare(own, "live", "before", examples=2).within(0.0)


def scores(made: Deployment) -> list:
    return [decode_score(value or b"") for _, value in made.read(topics.SCORES)]


def first_transitions(made: Deployment) -> list:
    found = []
    for topic in (topics.ALERTS, topics.ALERTS_HOLDOUT):
        for _, value in made.read(topic):
            alert = decode_alert_event(value or b"").data
            if alert.revision == 1:
                found.append(alert)
    return found
