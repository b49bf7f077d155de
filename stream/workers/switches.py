"""The switches of the model and the changes of the policies, as operators write them to ``tidemark.control.v1``: a
thread that follows the topic from its beginning.

What they mean is worked out by ``serving.rollout`` and ``stream.decisions.policy_history``; this module only reads.
Built by ``stream.workers.process`` for the decisions role.
"""

import threading
from typing import Final

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from serving.rollout import Rollout
from stream.contracts.codec import decode_control
from stream.contracts.control import Control
from stream.decisions.policies import Policies
from stream.decisions.policy_history import PoliciesUnreadable, PolicyHistory
from stream.engine.clients import Properties
from stream.workers.follower import Follower

_POLL_S: Final = 0.2
_LOAD_TIMEOUT_S: Final = 30.0

_log = structlog.get_logger(__name__)


class SwitchReader(Follower):
    """Follows the control topic for records of the kinds ``model`` and ``policy``.

    Args:
        kafka: client properties.
        topic: physical name; it has one partition.
        default: the version in force where nothing was ever promoted.
        configured: the policies in force where none were ever applied.

    Attributes:
        rollout, policies: the switches and the changes so far; other objects after every record.

    Raises:
        PoliciesUnreadable: from ``start``: the topic holds policies of a newer build.
    """

    def __init__(self, kafka: Properties, topic: str, default: str, configured: Policies) -> None:
        super().__init__("switches", kafka, {"fetch.wait.max.ms": 500}, topic)
        self.rollout = Rollout(default)
        self._default = default
        self._records: list[Control] = []
        self.policies = PolicyHistory(configured)
        self._changes: list[Control] = []
        self._loaded = threading.Event()
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begin, and wait until every switch so far is known.

        Raises:
            TimeoutError: that took more than half a minute.
            KafkaException: the topic cannot be read.
        """
        super().start()
        if not self._loaded.wait(_LOAD_TIMEOUT_S):
            raise TimeoutError(f"topic {self._topic} could not be read within {_LOAD_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            raise self._failure

    def _starts(self, consumer: Consumer) -> list[TopicPartition]:
        return [TopicPartition(self._topic, 0, 0)]

    def _step(self, consumer: Consumer) -> None:
        message = consumer.poll(_POLL_S)
        if message is None:
            return
        error = message.error()
        if error is None:
            self._take(message.value() or b"")
        elif error.code() == KafkaError._PARTITION_EOF:
            self._loaded.set()

    def _failed(self, error: Exception) -> None:
        self._failure = error
        self._loaded.set()
        # What is known stays in force; a restart takes up the rest.
        _log.error("switches of the model cannot be followed", topic=self._topic, error=str(error))

    def _take(self, value: bytes) -> None:
        try:
            control = decode_control(value)
        except msgspec.DecodeError as error:
            _log.warning("not a control record", error=str(error))
            return
        if control.kind == "model":
            self._records.append(control)
            self.rollout = Rollout(self._default, self._records)
            _log.info("model switch", version=control.version, effective_at=control.effective_at, reason=control.reason)
        elif control.kind == "policy":
            self._change(control)

    def _change(self, control: Control) -> None:
        try:
            self.policies = PolicyHistory(self.policies.configured, [*self._changes, control])
        except PoliciesUnreadable as error:
            if not self._loaded.is_set():
                # A worker that starts without them would decide otherwise than those that know them.
                raise
            _log.error("a change of the policies is not obeyed", error=str(error))
            return
        self._changes.append(control)
        _log.info("change of policies", version=control.version, as_of=control.effective_at, reason=control.reason)
