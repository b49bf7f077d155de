"""What is delivered, and what an attempt at it comes to. Values only: who makes them and what follows is said by the
modules beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from stream.contracts.alerts import Evidence

Verdict = Literal["taken", "again", "refused", "gone", "forbidden"]


class Outcome(NamedTuple):
    """What became of one attempt."""

    verdict: Verdict
    """``taken``: it is done. ``again``: it may be taken later. ``refused``: it will never be. ``gone``: the endpoint
    wants nothing any more. ``forbidden``: the endpoint lies where nothing may be sent."""
    detail: str = ""
    """Why, for people."""
    wait_s: float | None = None
    """How long the endpoint wants to be left alone, seconds; None where it does not say."""


@dataclass(slots=True, kw_only=True, eq=False)
class Delivery:
    """One transition of an alert on its way to the endpoint."""

    partition: int
    offset: int
    """Where it lies on the topic that the subscription reads."""
    key: bytes
    """Key of the record: the customer."""
    id: str
    """The CloudEvent's, the same at every attempt: readers drop what they have seen by it."""
    body: bytes
    """The CloudEvent as it lies on the topic."""
    evidence: Evidence | None = None
    """What it was made from; None for the end of an alert because of an erasure, which an erasure does not void."""
    tries: int = 0
    """Attempts so far."""
    counted: int = 0
    """Attempts that failed although the endpoint works."""
    met: int = 0
    """How many deliveries the endpoint had taken when this one was read."""
    mark: int = 0
    """The same when it was last tried."""


class Sink(Protocol):
    """Where deliveries go. One object serves many at once."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Try once. Whatever goes wrong is an outcome, not an exception."""

    async def close(self) -> None:
        """Give back what is held."""
