"""Decisions of a small shop as a worker makes them: questions in, records out. For the tests of this package."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.alerts import Alert
from stream.contracts.scores import Answer, ScoreRequest
from stream.contracts.topics import TopicNames
from stream.decisions.deployment import Deployment
from stream.decisions.policies import PoliciesInForce
from stream.engine.entries import Entry, parsed_of
from stream.engine.partition import Partition
from stream.engine.processor import OutputRecord, Record
from stream.engine.stores.memory import MemoryStore
from stream.workers.decisions import DecisionsProcessor
from stream.workers.recorded import RecordedStage
from tests.unit.workers.ways import bury

NAMES = TopicNames()
SCORES = NAMES.physical(topics.SCORES)
LIMIT = 900_000


class OnePolicy(NamedTuple):
    """The same policies whoever answers."""

    policies: PoliciesInForce

    def policies_of(self, version: str, as_of: int) -> PoliciesInForce:
        return self.policies

    def policies_for(self, customer_id: str, asked_at: int, as_of: int) -> PoliciesInForce:
        return self.policies

    def remembered(self, alert: Alert | None) -> PoliciesInForce:
        return self.policies

    def applied(self) -> str:
        return "policies"

    def in_force(self) -> str:
        return "customer 1"


class Ticket(NamedTuple):
    given: Answer

    def answer(self) -> Answer:
        return self.given


def processor(policies: PoliciesInForce) -> DecisionsProcessor:
    return DecisionsProcessor(NAMES, OnePolicy(policies), Deployment(secret=b"secret"), RecordedStage({}))


class Live:
    """One partition of the decisions role.

    Attributes:
        requests: the log of questions.
        outputs: what was written.
    """

    def __init__(self, policies: PoliciesInForce) -> None:
        self.requests: list[Record] = []
        self.outputs: list[OutputRecord] = []
        self._processor = processor(policies)
        self._partition: Partition[Any, Any] = Partition(0, self._processor, MemoryStore(), bury, LIMIT, 10, fast=False)
        self._partition.begin(None, 0)

    def ask(self, request: ScoreRequest, given: Answer) -> None:
        # A gap behind every record, as markers of transactions leave it.
        offset = 2 * len(self.requests)
        key = request.customer_id.encode()
        record = Record(NAMES.physical(topics.SCORE_REQUESTS), 0, offset, 0, key, messages.encode(request), ())
        self.requests.append(record)
        ticket = Ticket(given) if request.kind == "score" else None
        self._partition.process(Entry(record, parsed_of(self._processor, record), ticket), 1 << 40)
        changes, position = self._partition.changes()
        self.outputs += self._partition.context.outputs
        self._partition.committed(changes, position, 0)

    def scores(self) -> list[Record]:
        """The scores topic."""
        found = [output for output in self.outputs if output.topic == SCORES]
        return [Record(SCORES, 0, at, 0, out.key, out.value, out.headers) for at, out in enumerate(found)]
