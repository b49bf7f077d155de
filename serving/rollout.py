"""Which version of the model answers a question: a function of the switches on the control topic, of the customer, and
of when the question was written. Nothing else is read, so every worker and every replay finds the same.

A switch may come into force by and by: each customer has a place between 0 and 1, and the share of places that the new
version answers grows with time. What is loaded where is the worker's business (``stream.workers.models``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from stream.contracts.control import Control

_PLACES = 1 << 32


class Switch(NamedTuple):
    """``version`` answers from ``effective_at`` on, and everybody ``ramp_ms`` later. Epoch milliseconds."""

    version: str
    effective_at: int
    ramp_ms: int = 0

    def share(self, at: int) -> float:
        """Share of customers whom the version answers at ``at``, 0 to 1."""
        if at < self.effective_at:
            return 0.0
        return 1.0 if at - self.effective_at >= self.ramp_ms else (at - self.effective_at) / self.ramp_ms


class Rollout:
    """The switches so far.

    Parameters
    ----------
    default
        Version that answers what was asked before the first switch.
    records
        Those of kind ``model``, as they lie in the control topic. A later one counts before an earlier one, whatever
        their times.
    """

    def __init__(self, default: str, records: Iterable[Control] = ()) -> None:
        kept = list(records)
        # What the first switch found is what was in force, even where another version is the default by now.
        self.first = (kept[0].previous_version if kept else "") or default
        self.switches = tuple(Switch(record.version, record.effective_at, record.ramp_ms) for record in kept)

    def version_for(self, customer_id: str, asked_at: int) -> str:
        """The version that answers a question of ``customer_id`` written at ``asked_at``, epoch milliseconds."""
        for switch in reversed(self.switches):
            share = switch.share(asked_at)
            if share >= 1.0 or (share > 0.0 and place_of(customer_id, switch.version) < share):
                return switch.version
        return self.first

    def shares(self, at: int) -> dict[str, float]:
        """Share of customers by version that answers at ``at``, newest first; those that answer nobody are left out.

        Exact where at most one switch is on its way; where several are, customers' places in them are independent.
        """
        left, found = 1.0, dict[str, float]()
        for switch in reversed(self.switches):
            own = left * switch.share(at)
            if own > 0.0:
                found[switch.version] = found.get(switch.version, 0.0) + own
            left -= own
        if left > 0.0:
            found[self.first] = found.get(self.first, 0.0) + left
        return found

    def settled(self, at: int) -> str:
        """The version that answers at ``at`` everybody whom no newer one answers yet."""
        return next(reversed(self.shares(at)))

    def newest(self) -> str:
        """The version that the last switch leads to, whether or not it is in force yet."""
        return self.switches[-1].version if self.switches else self.first

    def before(self) -> str:
        """The version to go back to: what was in force before the newest, where going back is no step of its own; empty
        where nothing was ever promoted, or all of it was taken back."""
        taken = [self.first]
        for switch in self.switches:
            if len(taken) > 1 and switch.version == taken[-2]:
                taken.pop()
            else:
                taken.append(switch.version)
        return taken[-2] if len(taken) > 1 else ""

    def needed(self, since: int) -> list[str]:
        """Versions that may answer a question written at ``since`` or later, newest first."""
        found: dict[str, None] = {}
        for switch in reversed(self.switches):
            found[switch.version] = None
            if switch.share(since) >= 1.0:
                return list(found)
        found[self.first] = None
        return list(found)


def place_of(customer_id: str, version: str) -> float:
    """Where a customer stands in the roll-out of ``version``: 0 to below 1, evenly spread, another place for each
    version."""
    digest = hashlib.blake2b(f"{version}\0{customer_id}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") / _PLACES
