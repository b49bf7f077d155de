"""Faults of the consumer group: what it has committed is forgotten."""

import subprocess
import sys
from typing import Final

from stream.testing.waiting import eventually
from tests.chaos.kinds.fault import Fault, Scene

_ANSWER_S: Final = 10.0
_EMPTY_S: Final = 60.0
_NOT_EMPTY: Final = 3
_DELETE: Final = """
import os, sys
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

servers, group, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
admin = AdminClient({"bootstrap.servers": servers})
status = 0
try:
    admin.delete_consumer_groups([group], request_timeout=seconds)[group].result(seconds)
except KafkaException as error:
    if error.args[0].code() == KafkaError.NON_EMPTY_GROUP:
        status = 3
    elif error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
        raise
# Its clean end may hang.
os._exit(status)
"""
"""In a process of its own: librdkafka was seen to abort it where brokers have died under an AdminClient's requests."""


class OffsetsGone(Fault):
    name = "group offsets gone"
    what = "the workers of a role are away, and their group with all its offsets expires (it is deleted)"

    def possible(self, scene: Scene) -> bool:
        return scene.brokers is not None

    def strike(self, scene: Scene) -> str:
        assert scene.brokers is not None
        role = scene.draw.choice(["profiles", "decisions"])
        group = scene.configuration.topics.topic_names().group(role)
        command = [sys.executable, "-c", _DELETE, scene.brokers.bootstrap_servers, group, f"{_ANSWER_S}"]
        members = scene.crew.of(role)
        for member in members:
            member.await_ready()
            member.stop()

        def deleted() -> bool:
            # Until the group has forgotten its static members. Again, where it was aborted (status < 0) or hangs.
            try:
                status = subprocess.run(command, check=False, timeout=2 * _ANSWER_S).returncode
            except subprocess.TimeoutExpired:
                return False
            assert status <= 0 or status == _NOT_EMPTY, f"group {group} cannot be deleted"
            return status == 0

        assert eventually(deleted, timeout=_EMPTY_S), f"group {group} does not become empty"
        for member in members:
            member.start()
        return group


KINDS: Final[tuple[Fault, ...]] = (OffsetsGone(),)
