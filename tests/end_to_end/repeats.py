"""One log, folded again and again: by other numbers of workers, at other speeds, with other answers.

Called by the tests that compare what came out.
"""

import json
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.operations.topics import create_topics
from tests.chaos.deployment import configuration_text
from tests.chaos.read_back import Record, read_topic
from tests.end_to_end.workers import MakeStage, team

BY_CUSTOMER = (
    topics.SCORE_REQUESTS,
    topics.SCORES,
    topics.PREDICTIONS,
    topics.ALERTS,
    topics.ALERTS_HOLDOUT,
    topics.RECOMMENDATIONS,
)
"""Topics of which each partition is fed by one input partition alone."""

Outputs = dict[str, list[list[Record]]]
"""Committed records by logical topic and partition."""


class Speed(NamedTuple):
    """How one run goes about the same work."""

    workers: int
    commit_interval_ms: int
    consume_batch: int
    timers_per_step: int
    longest_answer_ms: float
    """Batches take up to so long, each another time."""


class Shop(NamedTuple):
    """A log on a broker, and where it ends on each partition."""

    servers: str
    folder: Path
    events_topic: str
    ends: list[int]

    def configuration(self, prefix: str, speed: Speed, **names: str) -> Configuration:
        """Reads the one log, and whatever else ``names`` says, and writes under a prefix."""
        path = self.folder / f"{prefix}toml"
        path.write_text(configuration_text(self.folder, self.servers, prefix))
        environ = {
            "TIDEMARK__TOPICS__NAMES": json.dumps({topics.EVENTS: self.events_topic, **names}),
            "TIDEMARK__ENGINE__COMMIT_INTERVAL_MS": str(speed.commit_interval_ms),
            "TIDEMARK__ENGINE__BACKLOG_COMMIT_INTERVAL_MS": str(speed.commit_interval_ms),
            "TIDEMARK__ENGINE__CONSUME_BATCH": str(speed.consume_batch),
            "TIDEMARK__ENGINE__TIMERS_PER_STEP": str(speed.timers_per_step),
        }
        return load(path, environ).configuration

    def run(self, prefix: str, speed: Speed, make_stage: MakeStage, requests_of: str = "") -> Outputs:
        """Fold the whole log and read back what came out.

        Args:
            prefix: of all topics that this run writes.
            requests_of: prefix of the run whose requests the decisions read; empty: this one.
        """
        configuration = self.configuration(prefix, speed)
        create_topics(AdminClient(client_properties(configuration.kafka)), configuration.topics)
        names = configuration.topics.topic_names()
        requests = names.physical(topics.SCORE_REQUESTS).replace(prefix, requests_of or prefix)
        answering = self.configuration(prefix, speed, **{topics.SCORE_REQUESTS: requests})
        label = prefix.strip(".")
        with team(answering, "decisions", speed.workers, label, make_stage) as decisions:
            with team(configuration, "profiles", speed.workers, label) as profiles:
                profiles.await_offsets(configuration, self.events_topic, self.ends)
            ends = [max((r.offset + 1 for r in records), default=0) for records in read_topic(self.servers, requests)]
            decisions.await_offsets(configuration, requests, ends)
        logical = (*BY_CUSTOMER, topics.ALERTS_OPEN, topics.DEAD_LETTERS)
        return {topic: read_topic(self.servers, names.physical(topic)) for topic in logical}
