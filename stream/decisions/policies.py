"""Everything a person decides about alerts and recommendations: when to raise, when to stop, how often, for whom.

One frozen value with a version, so that every output can say under which policy it was made. It holds settings and
checks them; it judges no customer. Configuration reads it, ``decide`` obeys it.
"""

import hashlib
from functools import cached_property
from typing import Final, Literal

import msgspec

from serving.model_card import HORIZONS_DAYS, RHYTHM_BASKETS, RHYTHM_SPAN_DAYS, ModelCard, Threshold
from stream.contracts.alerts import Severity
from stream.decisions.quiet_hours import QuietHours

AlertKind = Literal["churn_risk", "second_purchase"]
Segment = Literal["new", "standard", "high_value"]

KINDS: Final[tuple[AlertKind, ...]] = ("churn_risk", "second_purchase")
LEAST_HYSTERESIS: Final = 0.05
"""Scores of one customer move by some hundredths between requests without anything having happened."""

_DEFAULT_THRESHOLD: Final = 0.7
_DEFAULT_HYSTERESIS: Final = 0.1
_DEFAULT_BASE_RATE: Final = 0.5
_MEDIUM_SHARE: Final = 0.4
_HIGH_SHARE: Final = 0.7
_VERSION_HEX: Final = 12


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When alerts of one kind begin and end. Scores are probabilities of no purchase within the horizon.

    What is None is filled in by ``Policies.in_force``.

    Raises:
        ValueError: on construction, naming the field and what it has to be.
    """

    enabled: bool = True
    """False: nothing is raised, and what is open is resolved as ``policy_changed`` when the customer is next looked
    at."""
    raise_threshold: float | None = None
    """An alert is raised at this score or above. None: what the card of the model in use recommends."""
    raise_share: float | None = None
    """Instead of ``raise_threshold``: the share of active customers of this kind that is to lie at the threshold or
    above. Which score that is stands in the card of the model in use."""
    raise_value: float = 0.0
    """Raised only where at least so much is at risk, in the configured currency: the score times what the customer
    spent, in the last year, in as many days as the horizon has."""
    resolve_threshold: float | None = None
    """An open alert ends below this score. None: as the card says, or 0.1 under a ``raise_threshold`` that is set
    here, or 0.05 under the one that ``raise_share`` gives."""
    medium_from: float | None = None
    """Severity is ``medium`` from this score on. None: four tenths of the way from ``raise_threshold`` to 1."""
    high_from: float | None = None
    """Severity is ``high`` from this score on. None: seven tenths of the way."""
    base_rate: float | None = None
    """Share of comparable customers who do churn, for the reader of an alert. None: what the model's card says."""
    silent_from_days: float = 0.0
    """Raised only when the last purchase is at least so long ago."""
    silent_until_days: float = 90.0
    """Raised only when the last purchase is at most so long ago: nobody wins back a customer who left years ago."""
    expiry_days: float = 30.0
    """An alert that nothing ended expires so long after its episode began."""
    cool_down_days: float = 30.0
    """After an episode's end, whatever ended it, the next one may begin so much later."""
    daily_budget: int = 5_000
    """Alerts of this kind raised per event-time day by the whole deployment, both arms together."""

    def __post_init__(self) -> None:
        for name in ("raise_threshold", "resolve_threshold", "medium_from", "high_from", "base_rate", "raise_share"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                meant = "share" if name == "raise_share" else "probability"
                raise ValueError(f"{name} is {value}: it is a {meant}, 0 to 1")
        if self.raise_share is not None and self.raise_threshold is not None:
            raise ValueError("raise_share and raise_threshold are both set: the one gives the other, set one of them")
        for name in ("silent_from_days", "cool_down_days", "daily_budget", "raise_value"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it cannot be negative")
        if self.silent_until_days <= self.silent_from_days:
            raise ValueError(f"silent_until_days is {self.silent_until_days}: it must be above silent_from_days")
        if self.expiry_days <= 0:
            raise ValueError(f"expiry_days is {self.expiry_days}: it must be above 0")
        if self.resolve_threshold is not None:
            if self.raise_threshold is None:
                raise ValueError("resolve_threshold is set without raise_threshold: set both or neither")
            if round(self.raise_threshold - self.resolve_threshold, 3) < LEAST_HYSTERESIS:
                raise ValueError(
                    f"resolve_threshold is {self.resolve_threshold}: it must be at least {LEAST_HYSTERESIS} below "
                    f"raise_threshold, {self.raise_threshold}"
                )
        if self.medium_from is not None and self.high_from is not None and self.high_from < self.medium_from:
            raise ValueError(f"high_from is {self.high_from}: it cannot be below medium_from, {self.medium_from}")

    def in_force(self, recommended: Threshold | None, by_share: float | None = None) -> "RuleInForce":
        """This rule with every gap filled: what is set here wins, then what the model's card recommends, then a
        constant.

        Args:
            by_share: the score that ``raise_share`` of the customers reach.
        """
        below: float | None
        if by_share is not None:
            above, below = by_share, round(by_share - LEAST_HYSTERESIS, 3)
        elif self.raise_threshold is not None:
            above, below = self.raise_threshold, self.resolve_threshold
        elif recommended is not None:
            above, below = recommended.raise_at, min(recommended.resolve_at, recommended.raise_at - LEAST_HYSTERESIS)
        else:
            above, below = _DEFAULT_THRESHOLD, None
        if below is None:
            below = above - _DEFAULT_HYSTERESIS
        medium = _first(self.medium_from, above + (1.0 - above) * _MEDIUM_SHARE)
        high = max(medium, _first(self.high_from, above + (1.0 - above) * _HIGH_SHARE))
        return RuleInForce(
            enabled=self.enabled,
            raise_threshold=round(above, 3),
            resolve_threshold=round(max(0.0, below), 3),
            raise_value=self.raise_value,
            medium_from=round(medium, 3),
            high_from=round(high, 3),
            base_rate=round(
                _first(self.base_rate, recommended.base_rate if recommended else None, _DEFAULT_BASE_RATE), 3
            ),
            silent_from_days=self.silent_from_days,
            silent_until_days=self.silent_until_days,
            expiry_days=self.expiry_days,
            cool_down_days=self.cool_down_days,
            daily_budget=self.daily_budget,
        )


class RuleInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A ``Rule`` without gaps; fields mean what they mean there. Scores are rounded to 1e-3, and so are these."""

    enabled: bool
    raise_threshold: float
    resolve_threshold: float
    raise_value: float
    medium_from: float
    high_from: float
    base_rate: float
    silent_from_days: float
    silent_until_days: float
    expiry_days: float
    cool_down_days: float
    daily_budget: int


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about an alert. Of a policy's actions the first counts whose conditions, where set, all hold."""

    code: str
    kind: AlertKind | None = None
    severity: Severity | None = None
    segment: Segment | None = None
    params: dict[str, str | float | int | bool] = {}


_ACTIONS: Final = (
    Action(code="welcome_offer", kind="second_purchase", severity="high", params={"discount_percent": 10}),
    Action(code="recommend_items", kind="second_purchase"),
    Action(code="personal_call", segment="high_value", severity="high"),
    Action(code="win_back_offer", segment="high_value", params={"discount_percent": 10}),
    Action(code="win_back_offer", severity="high", params={"discount_percent": 10}),
    Action(code="recommend_items"),
)


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """The policy as it is written down. ``in_force`` joins it with what a model recommends; only the result decides.

    Raises:
        ValueError: on construction, naming the field and what it has to be.
    """

    churn_risk: Rule = Rule(silent_from_days=14.0)
    """Customers with a rhythm: at least ``rhythm_baskets`` baskets over at least ``rhythm_span_days``."""
    second_purchase: Rule = Rule(silent_from_days=21.0)
    """Everyone with a purchase but no rhythm yet: one-time buyers and short histories."""
    rhythm_baskets: int = RHYTHM_BASKETS
    rhythm_span_days: float = RHYTHM_SPAN_DAYS
    """Two orders within some days are one visit in two parcels, and say nothing of a rhythm."""
    horizon_days: int = 90
    """Alerts are about the probability of no purchase within so many days; one of the answer's horizons."""
    update_step: float = 0.05
    """An open alert is updated when its score moved by this much since it was last published, or its severity
    changed."""
    daily_cap: int = 1
    """Alerts raised per customer and event-time day, over all kinds."""
    quiet_hours: QuietHours = QuietHours()
    """What is raised within them is published when they end, unless it is over by then."""
    holdout_share: float = 0.1
    """Share of customers whose alerts go to the hold-out topic, 0 to 1."""
    experiment_id: str = "alerts"
    salt_version: str = "1"
    """A new value draws the arms anew."""
    high_value_from: float = 1_000.0
    """Revenue of the last 365 days from which a customer counts as ``high_value``, in the configured currency."""
    actions: tuple[Action, ...] = _ACTIONS
    recommendation_length: int = 10
    recommendation_repeat_share: float = 1.0
    """Of a list, what the customer bought before, at most; 0 to 1. A list that finds too little else is shorter."""
    recommendation_cause_share: float = 1.0
    """Of a list, what one and the same item led to that the customer bought before, at most; 0 to 1, and one item
    always."""
    material_overlap: float = 0.8
    """A list is published when the share that it has in common with the last one is below this."""
    recommendation_valid_days: float = 30.0
    bought_pause_days: float = 7.0
    """What was bought is left out for so long."""
    returned_pause_days: float = 90.0
    """What was sent back is left out for so long."""
    ask_again_attempts: int = 3
    """How often one question is put again after time-outs and errors; an open breaker does not count."""

    def __post_init__(self) -> None:
        for name in (
            "holdout_share",
            "material_overlap",
            "recommendation_repeat_share",
            "recommendation_cause_share",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}: it is a share, 0 to 1")
        for name in ("daily_cap", "recommendation_length", "rhythm_baskets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.horizon_days not in HORIZONS_DAYS:
            raise ValueError(f"horizon_days is {self.horizon_days}: models answer for {HORIZONS_DAYS} days")
        for name in ("rhythm_span_days", "bought_pause_days", "returned_pause_days", "ask_again_attempts"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it cannot be negative")
        if self.update_step < 0.001:
            raise ValueError(
                f"update_step is {self.update_step}: scores are rounded to 0.001, so it must be at least that"
            )
        if self.recommendation_valid_days <= 0:
            raise ValueError(f"recommendation_valid_days is {self.recommendation_valid_days}: it must be above 0")
        if not self.experiment_id:
            raise ValueError("experiment_id is empty: outcomes are counted by it")

    def in_force(self, card: ModelCard | None) -> "PoliciesInForce":
        """The policy that decides, once it is known which model answers; None: no card, so constants fill the gaps.

        Raises:
            KeyError: the card has no threshold for ``horizon_days``, and a rule that needs one sets none.
            UnknownLevels: the card does not know which score the ``raise_share`` of a rule reaches.
        """
        rules: dict[AlertKind, Rule] = {kind: getattr(self, kind) for kind in KINDS}
        if card is None:
            return PoliciesInForce(settings=self, rules={kind: rule.in_force(None) for kind, rule in rules.items()})
        horizon = f"{self.horizon_days}d"
        needed = any(rule.raise_threshold is None and rule.raise_share is None for rule in rules.values())
        known = {threshold.horizon: threshold for threshold in card.thresholds}
        recommended = card.threshold(horizon) if needed else known.get(horizon)
        by_share = {
            kind: card.score_reached_by(rule.raise_share, horizon, rhythm=kind == "churn_risk")
            for kind, rule in rules.items()
            if rule.raise_share is not None
        }
        return PoliciesInForce(
            settings=self,
            rules={kind: rule.in_force(recommended, by_share.get(kind)) for kind, rule in rules.items()},
        )


class PoliciesInForce(msgspec.Struct, frozen=True, dict=True):
    """The policy that decides: ``settings`` as written, and the ``rules`` by kind without gaps."""

    settings: Policies
    rules: dict[str, RuleInForce]

    @property
    def horizon(self) -> str:
        """The horizon as ``Answer.churn`` names it."""
        return f"{self.settings.horizon_days}d"

    @cached_property
    def version(self) -> str:
        """12 hex digits of the SHA-256 over everything that can change a decision; stamped on every output.

        A threshold counts as it is in force, whether a person or a model's card set it.
        """
        content = msgspec.structs.asdict(self.settings) | self.rules
        if not self.settings.quiet_hours.begin:
            # Policies that are older than this setting keep their name.
            del content["quiet_hours"]
        return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:_VERSION_HEX]


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
