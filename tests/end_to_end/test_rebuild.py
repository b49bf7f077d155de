"""A build with another fold cannot use the live state; a rebuild folds the log beside it and takes it over, and then
the new build goes on where the old one was."""

import os
import subprocess
import sys
from typing import Any

import pytest
from msgspec.structs import replace

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.engine.cluster import FoldChanged, check_fold
from stream.engine.processor import Context, Parsed
from stream.operations.history.verifying import verify
from stream.profiles.profile import Profile
from stream.testing.topics import Topics
from stream.workers.profiles import Folding, ProfilesProcessor
from tests.chaos.input_log import PARTITIONS
from tests.end_to_end.deployments import Deployment, await_idle, deciding, deployed, profiles_of, small_shop
from tests.integration.operations.work import working

EVENTS = 1_200

pytestmark = pytest.mark.timeout(300)


class Older(ProfilesProcessor):
    """A fold of before, by which everything cost half as much."""

    fold_version = ProfilesProcessor.fold_version - 1

    def fold(
        self, state: Profile | None, parsed: Parsed[Folding], answer: Any, context: Context[Folding]
    ) -> Profile | None:
        event = parsed.payload.event
        items = [replace(item, price=(item.price or 0.0) / 2) for item in event.items]
        parsed = replace(parsed, payload=Folding(replace(event, items=items), parsed.payload.redriven))
        return super().fold(state, parsed, answer, context)


def begin_as(live: Configuration, processor: ProfilesProcessor) -> None:
    """What a worker asks before it joins its group."""
    check_fold(client_properties(live.kafka), processor, PARTITIONS, lambda: True)


def rebuilt(made: Deployment, *options: str) -> str:
    command = [sys.executable, "-m", "stream.cli", "--config", made.config, "rebuild", *options]
    done = subprocess.run(command, env=os.environ | made.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    return done.stdout


def test_a_changed_fold_is_taken_over(own_topics: Topics, tmp_path_factory: pytest.TempPathFactory) -> None:
    shop = small_shop(own_topics, tmp_path_factory.mktemp("rebuild"), "rebuild", EVENTS)
    made = deployed(shop, own_topics.name("rebuilt."))
    live = made.configuration
    with deciding(live):
        with working(live, profiles_of(live, Older)):
            said = rebuilt(made)
        assert "nothing was changed" in said
        await_idle(live)
        with pytest.raises(FoldChanged, match="tidemark rebuild"):
            begin_as(live, profiles_of(live, ProfilesProcessor))
        assert "profiles" in rebuilt(made, "--apply")
        begin_as(live, profiles_of(live, ProfilesProcessor))
        with working(live, profiles_of(live, ProfilesProcessor)):
            assert verify(live).passed
        await_idle(live)
        assert "nothing differs" in rebuilt(made, "--apply")
        assert any(known[-1].correction for known in made.alerts().values())
        assert all(value is not None for _, value in made.read(topics.ALERTS))
