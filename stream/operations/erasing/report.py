"""What there is of a customer, before an erasure and after it: the report of `tidemark erase`, and its check.

It reads and changes nothing. Called by the command, and by `erase.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka.admin import AdminClient

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.erasures import Erasure, Role
from stream.contracts.topics import TOPICS, changelog
from stream.operations.brokers import ANSWER_WITHIN, connect_admin
from stream.operations.erasing.files import files_about
from stream.operations.erasing.found import Found, Held, Progress
from stream.operations.erasing.naming import Naming
from stream.operations.erasures import erasures_of
from stream.operations.replays.record import UnknownReplay, ids, prefix_of, read
from stream.operations.topics import STATEFUL_ROLES
from stream.workers import decisions, profiles
from stream.workers.erased import Remembered

ROLES: Final[tuple[Role, ...]] = (profiles.ROLE, decisions.ROLE)


class NotErased(LookupError):
    """There is no erasure to check."""


class ReplayHeld(msgspec.Struct):
    """What a replay holds of a customer."""

    replay_id: str
    topics: list[Held]
    """Those that hold something."""


class Report(msgspec.Struct, kw_only=True):
    """What there is of a customer, and until when. Times are epoch milliseconds."""

    customer_id: str
    read_at: int
    erasures: list[Erasure]
    """One for each role that has forgotten the customer; none where nobody was erased."""
    topics: list[Held]
    """Of the deployment, all of them."""
    replays: list[ReplayHeld]
    """Those that hold something."""
    files: list[str]
    """Of this machine that hold something."""
    dropped: list[str] = []
    """Replays that this command has dropped, and files that it has changed."""

    @property
    def erased(self) -> bool:
        """Whether every role has forgotten the customer."""
        return {erasure.role for erasure in self.erasures} == set(ROLES)

    @property
    def passed(self) -> bool:
        """Whether nothing is left but what goes by a date that has not come, or what came after the erasure."""
        bad = any(held.state(self.read_at) in ("kept", "overdue") for held in self.topics)
        return self.erased and not bad and not self.replays and not self.files


def survey(configuration: Configuration, customer_id: str, progress: Progress | None = None) -> Report:
    """What there is of a customer now. It changes nothing.

    Raises:
        MissingTopicError, TopicMismatch, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    admin, naming = connect_admin(configuration.kafka), Naming(customer_id)
    known = {role: erasures_of(configuration, role).of(naming.key) for role in ROLES}
    remembered = {role: each for role, each in known.items() if each is not None}
    reader = Found(configuration.kafka, admin, naming, _forgotten(configuration, remembered))
    names = configuration.topics.topic_names()
    own = [names.physical(name) for name in TOPICS] + [names.changelog(role) for role in STATEFUL_ROLES]
    return Report(
        customer_id=customer_id,
        read_at=now_ms(),
        erasures=[each.erasure for each in remembered.values()],
        topics=reader.held(own, progress),
        replays=in_replays(configuration, admin, reader, over_at(remembered), progress),
        files=list(map(str, files_about(Path(configuration.data_dir), naming))),
    )


def _forgotten(configuration: Configuration, remembered: Mapping[Role, Remembered]) -> dict[str, int]:
    """From when on a record of a topic is of the time after the erasure, by the clock that the topic's records have.
    Empty until both roles have forgotten."""
    if len(remembered) < len(ROLES):
        return {}
    names = configuration.topics.topic_names()
    by_profiles, by_decisions = (remembered[role] for role in ROLES)
    written = [names.physical(name) for name in TOPICS] + [names.changelog(decisions.ROLE)]
    return dict.fromkeys(written, by_decisions.written_at) | {
        names.physical(topics.EVENTS): by_profiles.erasure.erased_at,
        names.physical(topics.SCORE_REQUESTS): by_decisions.erasure.erased_at,
        names.changelog(profiles.ROLE): by_profiles.written_at,
    }


def over_at(remembered: Mapping[Role, Remembered]) -> int | None:
    """When the last role had forgotten: a replay that is made later skips by itself. None: it is not over."""
    return max(each.written_at for each in remembered.values()) if len(remembered) == len(ROLES) else None


def check(configuration: Configuration, customer_id: str, progress: Progress | None = None) -> Report:
    """Read everything back after an erasure.

    Raises:
        NotErased: the customer was not.
        MissingTopicError, TopicMismatch, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    report = survey(configuration, customer_id, progress)
    if not report.erasures:
        raise NotErased(f"{customer_id!r} was never erased here: `tidemark erase {customer_id} --apply` does it")
    return report


def made_before(configuration: Configuration, admin: AdminClient, over: int | None) -> list[str]:
    """The replays that may have begun to fold before they could know of the erasure; all, where it is not over."""
    known = ids(configuration, admin)
    return known if over is None else [each for each in known if _made_at(configuration, each) <= over]


def _made_at(configuration: Configuration, replay_id: str) -> int:
    try:
        return read(configuration, replay_id).created_at
    except UnknownReplay:
        # Killed before it was begun.
        return 0


def in_replays(
    configuration: Configuration, admin: AdminClient, reader: Found, over: int | None, progress: Progress | None
) -> list[ReplayHeld]:
    """What the replays hold that were made before an erasure was ``over``; all of them, where it is not."""
    there = admin.list_topics(timeout=ANSWER_WITHIN).topics.keys()
    bases = [spec.base_name for spec in (*TOPICS.values(), *map(changelog, STATEFUL_ROLES), topics.REPLAY)]
    found = []
    for replay_id in made_before(configuration, admin, over):
        prefix = prefix_of(configuration, replay_id)
        own = [prefix + base for base in bases if prefix + base in there]
        held = [each for each in reader.held(own, progress) if each.values or each.nulls or each.kept or each.later]
        if held:
            found.append(ReplayHeld(replay_id, held))
    return found


def now_ms() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)
