"""What must come of the simple job: the straight fold of the log in plain Python, and the comparison with a system.

Shares no code with any system. The sums of doubles are exact, since every system adds the same numbers of a customer in
the same order.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from benchmarks.peers.job import LAST_ITEMS


class Totals(NamedTuple):
    """The state of one customer."""

    counts: dict[str, int]
    """Events by type."""
    spend: float
    """Price times quantity of what was bought, in the currency of the events."""
    items: list[str]
    """The newest items, the newest last."""


class WrongResult(AssertionError):
    """A system's state or summaries are not those of the oracle."""


class Oracle:
    """Folds the log while it is written.

    Attributes:
        summaries: how many must be put out.
    """

    def __init__(self) -> None:
        self.summaries = 0
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._spend: dict[str, float] = defaultdict(float)
        self._items: dict[str, list[str]] = defaultdict(list)
        self._last_summary: dict[str, tuple[int, float, str]] = {}

    def see(self, value: bytes) -> None:
        """The next event of the log."""
        event = orjson.loads(value)
        customer, kind = event["customer_id"], event["type"]
        self._counts[customer][kind] += 1
        items = self._items[customer]
        for item in event.get("items", ()):
            items.append(item["item_id"])
            if kind == "purchase":
                self._spend[customer] += item["price"] * item["quantity"]
        del items[:-LAST_ITEMS]
        if kind == "purchase":
            self.summaries += 1
            self._last_summary[customer] = (sum(self._counts[customer].values()), self._spend[customer], items[-1])

    def check(self, states: Mapping[str, Totals], summaries: list[bytes]) -> None:
        """Compare what a system has made of the whole log.

        Args:
            states: by customer, from the system's changelog.
            summaries: values of the summaries topic, in order of each customer.

        Raises:
            WrongResult: with the first difference.
        """
        if states.keys() != self._counts.keys():
            odd = sorted(states.keys() ^ self._counts.keys())
            raise WrongResult(
                f"{len(states):,} customers have a state, {len(self._counts):,} must have one; {len(odd):,} are in one "
                f"of the two alone, such as {odd[0]}"
            )
        for customer, found in states.items():
            wanted = Totals(dict(self._counts[customer]), self._spend.get(customer, 0.0), self._items[customer])
            if found != wanted:
                raise WrongResult(f"customer {customer}: the state is {found}, and must be {wanted}")
        if len(summaries) != self.summaries:
            raise WrongResult(f"{len(summaries):,} summaries were put out, {self.summaries:,} must be")
        last: dict[str, tuple[int, float, str]] = {}
        for value in summaries:
            summary = orjson.loads(value)
            last[summary["customer_id"]] = (summary["events"], summary["spend"], summary["last_item"])
        if last != self._last_summary:
            customer = next(one for one in last if last[one] != self._last_summary.get(one))
            raise WrongResult(
                f"customer {customer}: the last summary is {last[customer]}, and must be "
                f"{self._last_summary.get(customer)}"
            )
