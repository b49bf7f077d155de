"""What is known of the endpoint as a whole: whether it takes anything, and until when it wants to be left alone.

Pure: it tells a delivery that nobody could make from one that this endpoint does not like, and decides nothing else.
Called by ``subscription.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stream.operations.subscriptions.backoff import Backoff
from stream.operations.subscriptions.outcomes import Delivery, Outcome

DOWN_AFTER: Final = 5
"""Customers who fail, with nothing taken in between, before the endpoint counts as down. Fewer may all be customers
whom it does not like, and others are not to wait for them."""

REFUSED_BY_ALL: Final = 10
"""Customers whose deliveries are refused for good, with nothing taken in between, before the subscription stops: a
wrong URL or a secret that was changed on one side would else make a dead letter of everything."""

PROBES: Final = Backoff(1.0, 30.0)
"""Waits between two attempts while it is down: it is found again half a minute after its return at the latest."""


class EndpointRefuses(RuntimeError):
    """The endpoint wants nothing of this subscription. What it was not given stays where it is.

    Args:
        last: outcome of an attempt, by which that is known.
    """

    def __init__(self, last: Outcome) -> None:
        super().__init__(
            {
                "refused": f"the endpoint refused {REFUSED_BY_ALL} customers in a row, the last with {last.detail}: "
                "see to the URL and the secret, start it again, and try what was given up with --undelivered",
                "gone": f"the endpoint wants nothing more ({last.detail}): end the subscription, or start it again "
                "with another one",
            }.get(last.verdict, f"{last.detail}: allow it with --allow-private, or name another endpoint")
        )


class Endpoint:
    """Of one subscription.

    Args:
        attempts: failures that count before a delivery is given up.
        chance: uniform in [0, 1).
    """

    def __init__(self, attempts: int, chance: Callable[[], float]) -> None:
        self._attempts = attempts
        self._chance = chance
        self._taken = 0
        self._failing: set[tuple[int, bytes]] = set()
        self._refused: set[tuple[int, bytes]] = set()
        self.probes = 0
        """Attempts in a row at an endpoint that is down."""
        self._quiet_until = 0.0

    @property
    def is_down(self) -> bool:
        """Whether it takes nothing of anybody."""
        return len(self._failing) >= DOWN_AFTER

    @property
    def refuses_all(self) -> bool:
        """Whether it refuses everybody for good."""
        return len(self._refused) >= REFUSED_BY_ALL

    def is_quiet(self, now: float) -> bool:
        """Whether nothing may be sent now."""
        return now < self._quiet_until

    def quiet_s(self, now: float) -> float:
        """Seconds until something may be sent again."""
        return max(self._quiet_until - now, 0.0)

    def meets(self, delivery: Delivery) -> None:
        """A delivery waits for it from now on."""
        delivery.met = delivery.mark = self._taken

    def took(self) -> int:
        """It has taken something; returns how many probes failed before, 0 where it was not down."""
        probes = self.probes
        self._taken += 1
        self._failing.clear()
        self._refused.clear()
        self.probes = 0
        return probes

    def failed(self, delivery: Delivery, now: float, wait_s: float | None) -> None:
        """It has not taken a delivery, which may be its own fault.

        The failure counts against the delivery if the endpoint works: if something else was taken since this one was
        last tried, or since it was read and hardly anybody else fails. Before that nobody can know, so nothing is
        given up because an endpoint was away.

        Args:
            wait_s: what it asked for; everybody waits so long.
        """
        self._failing.add((delivery.partition, delivery.key))
        if self._taken > (delivery.mark if self.is_down else delivery.met):
            delivery.counted += 1
        delivery.mark = self._taken
        if wait_s is not None:
            self._rest(now + wait_s)
        elif self.is_down:
            self.probes += 1
            self._rest(now + PROBES.wait_s(self.probes, self._chance))

    def refused(self, delivery: Delivery) -> None:
        """It says that it will never take a delivery."""
        self._refused.add((delivery.partition, delivery.key))

    def gives_up(self, delivery: Delivery, *, crowded: bool) -> bool:
        """Whether enough attempts failed that count.

        Args:
            crowded: too many wait behind it; one failure that counts is enough then.
        """
        return delivery.counted >= (1 if crowded else self._attempts)

    def _rest(self, until: float) -> None:
        self._quiet_until = max(self._quiet_until, until)
