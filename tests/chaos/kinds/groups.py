"""Faults of the consumer group: what it has committed is forgotten."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream.testing.waiting import eventually
from tests.chaos.kinds.fault import Fault, Scene

_ANSWER_S: Final = 10.0
_EMPTY_S: Final = 60.0


class OffsetsGone(Fault):
    name = "group offsets gone"
    what = "the workers of a role are away, and their group with all its offsets expires (it is deleted)"

    def possible(self, scene: Scene) -> bool:
        return scene.brokers is not None

    def strike(self, scene: Scene) -> str:
        assert scene.brokers is not None
        role = scene.draw.choice(["profiles", "decisions"])
        group = scene.configuration.topics.topic_names().group(role)
        admin = AdminClient({"bootstrap.servers": scene.brokers.bootstrap_servers})
        members = scene.crew.of(role)
        for member in members:
            member.await_ready()
            member.stop()

        def deleted() -> bool:
            # Until the group has forgotten its static members.
            try:
                admin.delete_consumer_groups([group], request_timeout=_ANSWER_S)[group].result(_ANSWER_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.NON_EMPTY_GROUP:
                    raise
                return False
            return True

        assert eventually(deleted, timeout=_EMPTY_S), f"group {group} does not become empty"
        for member in members:
            member.start()
        return group


KINDS: Final[tuple[Fault, ...]] = (OffsetsGone(),)
