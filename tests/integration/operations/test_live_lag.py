"""A replay learns from Kafka alone whether the live workers are behind."""

import json
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.configuration.load import load
from stream.contracts import topics as names
from stream.operations.replays.live_lag import LiveLag
from stream.operations.topics import create_topics
from stream.testing.topics import Topics
from stream.testing.waiting import eventually


def test_live_workers_that_get_on_and_are_behind_are_given_way_until_they_are_not(
    topics: Topics, tmp_path: Path
) -> None:
    config = tmp_path / "tidemark.toml"
    prefix = topics.name("lag.")
    config.write_text(
        f"[kafka]\nbootstrap_servers = {json.dumps(topics.bootstrap_servers)}\n"
        f"[topics]\nprefix = {json.dumps(prefix)}\npartitions = 1\n"
    )
    live = load(config, {}).configuration
    create_topics(AdminClient({"bootstrap.servers": topics.bootstrap_servers}), live.topics)
    physical = live.topics.topic_names()
    events = physical.physical(names.EVENTS)
    topics.produce(events, [("c1", b"{}") for _ in range(1_000)])
    worker = Consumer({"bootstrap.servers": topics.bootstrap_servers, "group.id": physical.group("profiles")})
    told: list[bool] = []
    folded = 0

    def behind() -> bool:
        nonlocal folded
        folded += 5
        worker.commit(offsets=[TopicPartition(events, 0, folded)], asynchronous=False)
        return told[-1:] == [True]

    try:
        with LiveLag(live, told.append) as lag:
            assert eventually(behind)
            assert folded < 1_000
            worker.commit(offsets=[TopicPartition(events, 0, 1_000)], asynchronous=False)
            assert eventually(lambda: told[-1:] == [False])
        assert lag.held_back_s > 0
        assert told[-1] is False, "nothing is left held back"
    finally:
        worker.close()
