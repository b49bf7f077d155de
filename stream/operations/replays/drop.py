"""Takes a replay away: its topics, its groups and its folder. Called by `tidemark replay drop`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream.configuration.settings import Configuration
from stream.contracts.topics import TOPICS, changelog
from stream.operations.brokers import ANSWER_WITHIN, KafkaUnreachableError, connect_admin, explained
from stream.operations.replays.record import UnknownReplay, ids, prefix_of, topic_of
from stream.operations.topics import STATEFUL_ROLES

_GONE: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)
_BEYOND_S: Final = 5.0
_AGAIN_S: Final = 0.5
_LOOK_S: Final = 0.1


class ReplayBusy(RuntimeError):
    """A replay cannot be dropped while somebody works on it."""


def drop(live: Configuration, replay_id: str) -> list[str]:
    """Delete what a replay has made, its record last: a drop that was killed can be repeated.

    Returns:
        The topics that were deleted.

    Raises:
        UnknownReplay: there is none of that name.
        ReplayBusy: somebody works on it.
        KafkaUnreachableError, AccessError: Kafka does not answer, or refuses.
    """
    admin = connect_admin(live.kafka)
    if replay_id not in ids(live, admin):
        raise UnknownReplay(f"no replay {replay_id!r}: `tidemark replay list` shows which there are")
    prefix = prefix_of(live, replay_id)
    groups = [f"{prefix}tidemark.{role}" for role in STATEFUL_ROLES]
    _delete_groups(admin, groups, live.engine.session_timeout_ms / 1000 + _BEYOND_S)
    record = topic_of(live, replay_id)
    # By name: a deployment whose own prefix is longer may have a replay of the same name, whose topics begin alike.
    made = {prefix + spec.base_name for spec in (*TOPICS.values(), *map(changelog, STATEFUL_ROLES))}
    own = sorted(made & _topics(admin))
    for names in (own, [record]):
        _delete_topics(admin, names)
    shutil.rmtree(Path(live.data_dir) / "replays" / replay_id, ignore_errors=True)
    return [*own, record]


def _delete_groups(admin: AdminClient, groups: list[str], patience_s: float) -> None:
    """Raises ``ReplayBusy`` when a group has members for longer than one that has stopped still counts as one."""
    give_up = time.monotonic() + patience_s
    left = groups
    while left:
        asked, left = admin.delete_consumer_groups(left, request_timeout=ANSWER_WITHIN), []
        for group, deleted in asked.items():
            try:
                deleted.result(ANSWER_WITHIN)
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.NON_EMPTY_GROUP:
                    left.append(group)
                elif code not in _GONE:
                    raise explained(error, group) from error
        if left and time.monotonic() > give_up:
            raise ReplayBusy(f"group {left[0]} has members: stop the replay first, then drop it")
        if left:
            time.sleep(_AGAIN_S)


def _delete_topics(admin: AdminClient, names: list[str]) -> None:
    """Return when they are gone for everybody: whoever makes them again too early would find the old ones."""
    if not names:
        return
    for name, deleted in admin.delete_topics(names, operation_timeout=ANSWER_WITHIN).items():
        try:
            deleted.result(ANSWER_WITHIN)
        except KafkaException as error:
            if error.args[0].code() not in _GONE:
                raise explained(error, name) from error
    give_up = time.monotonic() + ANSWER_WITHIN
    while left := set(names) & _topics(admin):
        if time.monotonic() > give_up:
            raise KafkaUnreachableError(f"topic {min(left)} is not deleted yet: drop the replay again")
        time.sleep(_LOOK_S)


def _topics(admin: AdminClient) -> set[str]:
    return set(admin.list_topics(timeout=ANSWER_WITHIN).topics)
