"""Does `tidemark campaigns report` keep its word? A hundred draws of the arms over real orders, with no effect and with
a planted one.

    python -m benchmarks.campaigns [EVENTS ...] [--draws 100] [--share 0.1]

Without EVENTS the sample of Online Retail II that the demo has. Customers are raised once, three weeks into their first
long silence; the arms are drawn by the hash that decides live, with another salt each time; orders and returns go
through the report's own code, all but Kafka. Called from the tests too, which hold the least that is promised.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.history import read_events
from stream.contracts.events import Event
from stream.contracts.ids import arm_fraction
from stream.contracts.times import DAY_MS, LATEST_MS, to_epoch_ms
from stream.operations.campaigns.cohort import Unit
from stream.operations.campaigns.outcomes import CustomerLog, Outcome
from stream.operations.campaigns.report import Followed, Row, campaigns
from stream.operations.campaigns.statistics import Difference, cap_of
from stream.operations.demo_events import sample
from stream.profiles.settings import ProfileSettings

SILENT_DAYS: Final = 21
WINDOW_DAYS: Final = 90
PLANTED_BUYERS: Final = 0.1
"""Of those who would not have bought, so many do when treated, each as much as some real customer."""
PLANTED_SCALE: Final = 1.1
"""What everybody else spends when treated, times what was spent."""
MAILED: Final = 0.6
"""Of the treated, so many are reached."""

_SETTINGS: Final = ProfileSettings()
_SECRET: Final = b"benchmark"
_SEED: Final = 20_110_609


class Person(NamedTuple):
    """A customer, and what becomes of them with and without treatment."""

    customer_id: str
    raised_at: int
    untreated: Outcome
    treated: Outcome
    mailed: bool
    """Reached if treated; nobody else's outcome is changed by it."""


class Held(NamedTuple):
    """How often the intervals held the truth."""

    draws: int
    buyers: int
    revenue: int
    reached: int
    """Of the effect on the share who bought, among those who were reached."""
    mismatched: int
    """Draws that the test of the arms' sizes took for wrong: one in a thousand, by chance."""
    truth: tuple[float, float, float]
    """Share who bought, revenue a customer, share who bought among the reached: treated less untreated, the mean over
    the draws where the cap moves it."""
    seen: tuple[float, float, float]
    """The means of what was told."""
    errors: tuple[float, float, float]
    """Standard errors of these means, over the draws."""


def people(events: Iterable[Event], planted: bool) -> list[Person]:
    """Customers with a silence of three weeks whose next 90 days lie in the data, in the order of their names."""
    histories: dict[str, list[Event]] = defaultdict(list)
    end = 0
    for event in events:
        end = max(end, to_epoch_ms(event.time))
        if event.customer_id and event.type in ("purchase", "return"):
            histories[event.customer_id].append(event)
    found = []
    for customer_id, own in sorted(histories.items()):
        raised_at = _silence(sorted(to_epoch_ms(event.time) for event in own if event.type == "purchase"))
        unit = _unit(customer_id, raised_at, "treatment", "")
        if raised_at and unit.ends_at <= end:
            log = CustomerLog(_SETTINGS, [unit])
            for event in own:
                log.take(event, to_epoch_ms(event.time), False)
            found.append((customer_id, raised_at, log.outcome(unit)))
    random = np.random.default_rng(_SEED)
    spent = [outcome.revenue for _, _, outcome in found if outcome.orders]
    made = []
    for customer_id, raised_at, outcome in found:
        mailed, drawn, amount = random.random() < MAILED, random.random(), float(random.choice(spent))
        treated = _planted(outcome, drawn, amount) if planted and mailed else outcome
        made.append(Person(customer_id, raised_at, outcome, treated, bool(mailed)))
    return made


def _planted(outcome: Outcome, drawn: float, amount: float) -> Outcome:
    if outcome.orders:
        return Outcome(outcome.orders, outcome.revenue * PLANTED_SCALE, True)
    return Outcome(1, amount, True) if drawn < PLANTED_BUYERS else Outcome(0, 0.0, True)


def _silence(times: Sequence[int]) -> int:
    """When the first silence of three weeks was over; 0 without a purchase."""
    for time, following in pairwise([*times, LATEST_MS]):
        if following - time > SILENT_DAYS * DAY_MS:
            return time + SILENT_DAYS * DAY_MS
    return 0


def _unit(customer_id: str, raised_at: int, arm: str, salt: str, share: float = 0.1) -> Unit:
    return Unit(
        customer_id=customer_id,
        experiment="alerts",
        salt_version=salt,
        share=share,
        arm=arm,  # type: ignore[arg-type]
        kind="churn_risk",
        segment="standard",
        raised_at=raised_at,
        days=WINDOW_DAYS,
        events_partition=0,
        events_offset=0,
    )


def drawn(everybody: Sequence[Person], salt: str, share: float) -> tuple[Row, float | None, bool]:
    """The row of all customers in one draw of the arms, its cap, and whether the arms look as if drawn otherwise."""
    followed = []
    for person in everybody:
        holdout = arm_fraction(_SECRET, person.customer_id, "alerts", salt) < share
        unit = _unit(person.customer_id, person.raised_at, "holdout" if holdout else "treatment", salt, share)
        given = person.untreated if holdout else person.treated
        followed.append(Followed(unit, Outcome(given.orders, given.revenue, person.mailed and not holdout)))
    (campaign,) = campaigns(followed, (), None)
    return campaign.rows[0], campaign.cap, campaign.mismatched


def held(everybody: Sequence[Person], draws: int, share: float) -> Held:
    """What ``draws`` draws of the arms tell, against the truth, which is known: both outcomes of everybody are."""
    mailed = np.array([person.mailed for person in everybody])
    bought = np.array([(person.treated.orders > 0) - (person.untreated.orders > 0) for person in everybody], float)
    treated = np.array([person.treated.revenue for person in everybody])
    untreated = np.array([person.untreated.revenue for person in everybody])
    hits = np.zeros(4, int)
    truths, seen = [], []
    for number in range(draws):
        row, cap, mismatched = drawn(everybody, str(number), share)
        assert row.buyers is not None
        assert row.revenue is not None
        assert row.reached is not None
        assert row.reached.buyers is not None
        at_most = np.inf if cap is None else cap
        truth = (
            float(bought.mean()),
            float((np.minimum(treated, at_most) - np.minimum(untreated, at_most)).mean()),
            float(bought[mailed].mean()),
        )
        effect = row.reached.buyers
        within = (_holds(row.buyers, truth[0]), _holds(row.revenue, truth[1]), effect.low <= truth[2] <= effect.high)
        hits += np.array([*within, mismatched], int)
        truths.append(truth)
        seen.append((row.buyers.difference, row.revenue.difference, effect.effect))
    errors = _three(np.std(seen, axis=0, ddof=1) / np.sqrt(draws))
    return Held(draws, *map(int, hits), _three(np.mean(truths, axis=0)), _three(np.mean(seen, axis=0)), errors)  # type: ignore[call-arg]


def _holds(difference: Difference, truth: float) -> bool:
    return difference.low <= truth <= difference.high


def _three(figures: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(figures[0]), float(figures[1]), float(figures[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="*", type=Path, help="as `tidemark convert` writes them")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.1)
    given = parser.parse_args()
    events = list(read_events(given.events, _SETTINGS) if given.events else sample())
    for name, planted in (("no effect", False), ("a planted one", True)):
        everybody = people(events, planted)
        found = held(everybody, given.draws, given.share)
        spent = np.array([person.untreated.revenue for person in everybody])
        print(f"{name}: {len(everybody):,} customers, hold-out {given.share:g}, cap {cap_of(spent):,.2f}")
        print(f"  intervals that hold the truth, of {found.draws}: buyers {found.buyers}, revenue {found.revenue}")
        print(f"  effect on the reached: {found.reached}; draws taken for wrong: {found.mismatched}")
        for what, truth, seen in zip(("buyers", "revenue", "buyers, reached"), found.truth, found.seen, strict=True):
            print(f"  {what}: truth {truth:.4f}, mean of what was told {seen:.4f}")


if __name__ == "__main__":
    main()
