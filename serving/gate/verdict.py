"""What the gate says: a list of checks, each with its finding in words, and whether the version may be promoted.

Made by ``fitness`` and ``comparison``; shown by `tidemark models`, which also acts on it.
"""

from __future__ import annotations

import msgspec

from serving.evaluation.bootstrap import Interval


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    passed: bool
    finding: str
    undecided: bool = False
    """It did not pass because there are too few customers to tell, not because it was found wrong."""


class Difference(msgspec.Struct, frozen=True):
    """One figure of both versions, over the same customers."""

    metric: str
    higher_is_better: bool
    present: float
    candidate: float
    interval: Interval
    """95 % of the candidate's figure less the present one's, paired by customer."""

    @property
    def worse(self) -> bool:
        """Whether the whole interval lies on the wrong side of zero."""
        return self.interval.high < 0 if self.higher_is_better else self.interval.low > 0

    @property
    def better(self) -> bool:
        """Whether the whole interval lies on the right side of zero."""
        return self.interval.low > 0 if self.higher_is_better else self.interval.high < 0


class Segment(msgspec.Struct, frozen=True):
    """Customers with so many baskets before the cut-off."""

    baskets: str
    customers: int
    differences: list[Difference]

    @property
    def worse(self) -> bool:
        return any(difference.worse for difference in self.differences)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about a version that is to be promoted."""

    candidate: str
    present: str
    checks: list[Check]
    customers: int = 0
    """How many both versions were compared on."""
    cutoffs: list[str] = []
    differences: list[Difference] = []
    segments: list[Segment] = []

    @property
    def passed(self) -> bool:
        """Whether it may be promoted."""
        return all(check.passed for check in self.checks)

    @property
    def refused(self) -> list[str]:
        """Checks that were found wrong."""
        return [check.name for check in self.checks if not check.passed and not check.undecided]

    @property
    def undecided(self) -> list[str]:
        """Checks that too few customers leave open."""
        return [check.name for check in self.checks if check.undecided]

    @property
    def worse_segments(self) -> list[str]:
        """Customers for whom it is worse, whatever it is on the whole."""
        return [segment.baskets for segment in self.segments if segment.worse]
