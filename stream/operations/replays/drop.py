"""Takes a replay away: its topics, its groups and its folder. Called by `tidemark replay drop`."""

from __future__ import annotations

import shutil
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException

from stream.configuration.settings import Configuration
from stream.operations.brokers import ANSWER_WITHIN, connect_admin, explained
from stream.operations.replays.record import UnknownReplay, ids, prefix_of, topic_of
from stream.operations.topics import STATEFUL_ROLES

_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)


def drop(live: Configuration, replay_id: str) -> list[str]:
    """Delete what a replay has made, its record last: a drop that was killed can be repeated.

    Returns:
        The topics that were deleted.

    Raises:
        UnknownReplay: there is none of that name.
        KafkaUnreachableError, AccessError: Kafka does not answer, or refuses; somebody may still work on it.
    """
    admin = connect_admin(live.kafka)
    if replay_id not in ids(live, admin):
        raise UnknownReplay(f"no replay {replay_id!r}: `tidemark replay list` shows which there are")
    prefix = prefix_of(live, replay_id)
    groups = [f"{prefix}tidemark.{role}" for role in STATEFUL_ROLES]
    for group, deleted in admin.delete_consumer_groups(groups, request_timeout=ANSWER_WITHIN).items():
        try:
            deleted.result(ANSWER_WITHIN)
        except KafkaException as error:
            if error.args[0].code() not in _GONE:
                raise explained(error, group) from error
    known = admin.list_topics(timeout=ANSWER_WITHIN).topics
    record = topic_of(live, replay_id)
    # By the whole prefix: nothing that a live deployment has begins so.
    own = sorted(name for name in known if name.startswith(prefix) and name != record)
    for names in (own, [record]):
        if not names:
            continue
        for name, gone in admin.delete_topics(names, operation_timeout=ANSWER_WITHIN).items():
            try:
                gone.result(ANSWER_WITHIN)
            except KafkaException as error:
                if error.args[0].code() not in _GONE:
                    raise explained(error, name) from error
    shutil.rmtree(Path(live.data_dir) / "replays" / replay_id, ignore_errors=True)
    return [*own, record]
