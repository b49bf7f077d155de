"""A build with another fold cannot use the live state; a rebuild folds the log beside it and takes it over, and then
the new build goes on where the old one was."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.decisions.decide import FOLD_VERSION
from stream.engine.cluster import FoldChanged, check_fold
from stream.engine.processor import Context, Parsed
from stream.operations.history.verifying import verify
from stream.profiles.profile import Profile
from stream.testing.topics import Topics
from stream.workers.process import build_processor
from stream.workers.profiles import Folding, ProfilesProcessor
from tests.chaos.input_log import PARTITIONS
from tests.end_to_end.deployments import Deployment, await_idle, deployed, profiles_of, small_shop
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


@contextmanager
def running(made: Deployment, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which has to end with 0."""
    command = [sys.executable, "-m", "stream.cli", "--config", made.config, "rebuild", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=os.environ | made.environ, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
            assert process.wait(120) == 0, process.stderr and process.stderr.read()
        finally:
            process.kill()


def rebuilt(made: Deployment, *options: str) -> str:
    with running(made, *options) as process:
        said, _ = process.communicate(timeout=120)
    assert max(map(len, said.splitlines())) <= 80
    return said


@contextmanager
def deciding_as(live: Configuration, fold_version: int) -> Iterator[None]:
    """A worker of the decisions runs, which has to be of the fold that made their states."""
    with build_processor(live, "decisions") as processor:
        processor.fold_version = fold_version
        check_fold(client_properties(live.kafka), processor, PARTITIONS, lambda: True)
        with working(live, processor):
            yield


def test_changed_folds_of_both_roles_are_taken_over(
    own_topics: Topics, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop = small_shop(own_topics, tmp_path_factory.mktemp("rebuild"), "rebuild", EVENTS)
    made = deployed(shop, own_topics.name("rebuilt."))
    live = made.configuration
    with ExitStack() as older:
        older.enter_context(deciding_as(live, FOLD_VERSION - 1))
        with working(live, profiles_of(live, Older)):
            said = rebuilt(made)
        assert "nothing was changed" in said
        await_idle(live)
        with pytest.raises(FoldChanged, match="tidemark rebuild"):
            begin_as(live, profiles_of(live, ProfilesProcessor))
        with pytest.raises(FoldChanged, match="tidemark rebuild"), deciding_as(live, FOLD_VERSION):
            pass
        with running(made, "--apply") as process:
            assert process.stderr is not None
            assert any("workers of role decisions to be stopped" in line for line in process.stderr)
            older.close()
    begin_as(live, profiles_of(live, ProfilesProcessor))
    with deciding_as(live, FOLD_VERSION):
        with working(live, profiles_of(live, ProfilesProcessor)):
            assert verify(live).passed
        await_idle(live)
        assert "nothing differs" in rebuilt(made, "--apply")
    assert any(known[-1].correction for known in made.alerts().values())
