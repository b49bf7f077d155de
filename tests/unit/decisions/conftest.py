"""A customer in front of the decisions: events go through the real fold, answers are given, records come back
decoded."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from stream.contracts import codec as messages
from stream.contracts import headers, topics
from stream.contracts.alerts import Alert, AlertEvent
from stream.contracts.emission import Origin, Output
from stream.contracts.events import Consent, Engagement, Event, Item, Review
from stream.contracts.ids import request_id
from stream.contracts.recommendations import Recommendation
from stream.contracts.scores import Answer, Candidate, ModelStamp, ScoreRequest
from stream.contracts.times import DAY_MS
from stream.decisions import codec
from stream.decisions.budget import Budget
from stream.decisions.decide import consent, decide, erase
from stream.decisions.deployment import Deployment
from stream.decisions.policies import Policies, PoliciesInForce, Rule
from stream.decisions.state import DecisionState
from stream.decisions.timers import ask_again, due, on_timer
from stream.decisions.verdicts import Weighed, weighed
from stream.profiles import codec as profiles
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

EPOCH_DAY = 15_000
"""Day 0 of the tests, counted from 1970: 2011-01-26."""

MODEL = ModelStamp("customer", "1.0a0b0c0d", "0123456789abcdef")
ITEMS = [f"item-{number:02}" for number in range(40)]


def at(day: float) -> int:
    """Epoch milliseconds of a day of the tests."""
    return int((EPOCH_DAY + day) * DAY_MS)


def policies(card: Any = None, **settings: Any) -> PoliciesInForce:
    """A policy with round thresholds (raise at 0.7, resolve below 0.6) and nobody held out, unless told otherwise."""
    plain = {
        "churn_risk": Rule(raise_threshold=0.7, resolve_threshold=0.6, silent_from_days=14),
        "second_purchase": Rule(raise_threshold=0.8, resolve_threshold=0.7, silent_from_days=21),
        "holdout_share": 0.0,
    }
    return Policies(**(plain | settings)).in_force(card)


class Records(NamedTuple):
    """What one call gave."""

    outputs: list[Output]

    def of(self, topic: str) -> list[Output]:
        return [output for output in self.outputs if output.topic == topic]

    @property
    def envelopes(self) -> list[AlertEvent]:
        found = self.of(topics.ALERTS) + self.of(topics.ALERTS_HOLDOUT)
        return [messages.decode_alert_event(output.value) for output in found]

    @property
    def alerts(self) -> list[Alert]:
        return [envelope.data for envelope in self.envelopes]

    @property
    def statuses(self) -> list[str]:
        return [alert.status for alert in self.alerts]

    @property
    def lists(self) -> list[Recommendation]:
        return [messages.decode_recommendation(output.value) for output in self.of(topics.RECOMMENDATIONS)]

    @property
    def outcome(self) -> str:
        (score,) = self.of(topics.SCORES)
        return dict(score.headers)[headers.OUTCOME].decode()


class Customer:
    """One customer's profile and decisions. The decisions pass through their codec after every call."""

    def __init__(self, name: str = "c1", in_force: PoliciesInForce | None = None, budget: Budget | None = None) -> None:
        self.name = name
        self.policies = in_force or policies()
        self.deployment = Deployment(secret=b"secret")
        self.budget = budget if budget is not None else Budget()
        self.profile: Profile | None = None
        self.kept: bytes | None = None
        self.offset = 0
        self.requests = 0
        self.log: list[Output] = []
        self.weighed: list[Weighed] = []
        """How the last request was judged."""

    @property
    def state(self) -> DecisionState | None:
        return None if self.kept is None else codec.decode(self.kept)

    @property
    def due(self) -> int:
        return due(self.state) if self.state is not None else 0

    def event(self, kind: str, day: float, **fields: Any) -> None:
        self.offset += 1
        event = Event(
            event_id=f"{self.name}-{self.offset}",
            type=kind,
            time=at(day),
            customer_id=self.name,
            currency="GBP",
            **fields,
        )
        origin = Origin("customer.events.v1", 0, self.offset)
        self.profile = fold(self.profile, event, at(day), origin, ProfileSettings()).profile

    def buys(self, *days: float, items: tuple[str, ...] = ("bought",), price: float = 100.0) -> Customer:
        for day in days:
            lines = [Item(item_id=item, price=price, quantity=1) for item in items]
            self.event("purchase", day, transaction_id=f"t{day}", items=lines)
        return self

    def returns(self, day: float, item: str) -> None:
        self.event("return", day, items=[Item(item_id=item, price=1.0, quantity=1)])

    def reviews(self, day: float, rating: float) -> None:
        self.event("review", day, items=[Item(item_id="bought")], review=Review(rating=rating))

    def carts(self, day: float, action: str, item: str = "in-cart") -> None:
        lines = [] if action == "clear" else [Item(item_id=item, price=5.0, quantity=2)]
        self.event("cart", day, action=action, items=lines)

    def is_sent_messages(self, day: float, count: int, opened: int) -> None:
        for number in range(count):
            self.event("engagement", day, engagement=Engagement("sent"))
            if number < opened:
                self.event("engagement", day, engagement=Engagement("opened"))

    def chooses(self, day: float, **choices: str) -> Records:
        self.event("consent", day, consent=Consent(**choices))
        return self._keep(*consent(self.state, self.request(day, kind="consent"), self.policies, self.deployment))

    def erases(self, day: float) -> Records:
        self.profile = None
        request = ScoreRequest(kind="erase", customer_id=self.name, as_of=at(day), personalization=False)
        return self._keep(*erase(self.state, request, self.policies, self.deployment))

    def request(self, day: float, trigger: str = "interval", **fields: Any) -> ScoreRequest:
        self.offset += 1
        allowed = self.profile or Profile()
        return ScoreRequest(
            **{
                "kind": "score",
                "request_id": request_id(self.name, trigger, at(day)),
                "customer_id": self.name,
                "as_of": at(day),
                "trigger": trigger,
                "profile": profiles.encode(allowed),
                "events_topic": "customer.events.v1",
                "first_offset": self.offset,
                "last_offset": self.offset,
                "event_ids": [f"e{self.offset}"],
                "personalization": allowed.personalization,
                "marketing": allowed.marketing,
            }
            | fields
        )

    def asks(self, day: float, score: float, fallback: str = "", **fields: Any) -> Records:
        items = fields.pop("items", ITEMS)
        return self.answered(self.request(day, **fields), answer(score, fallback, items))

    def answered(self, request: ScoreRequest, given: Answer) -> Records:
        self.requests += 1
        origin = Origin("customer.score-requests.v1", 0, self.requests)
        profile = profiles.decode(request.profile)
        seen: list[Weighed] = []
        after, outputs = decide(
            self.state,
            request,
            origin,
            given,
            profile,
            self.budget,
            self.policies,
            self.deployment,
            lambda at: seen.append(weighed(at)),
        )
        self.weighed = seen
        records = self._keep(after, outputs)
        if seen:
            # In every test: what is told of the verdict is what was done.
            assert records.outcome == ",".join(f"{each.kind}={each.outcome}" for each in seen)
        return records

    def time_passes(self) -> Records:
        """The next timer fires."""
        return self._keep(*on_timer(self.state, self.due, self.policies, self.deployment))

    def asked_again(self) -> list[ScoreRequest]:
        records = self._keep(*ask_again(self.state))
        return [messages.decode_score_request(output.value) for output in records.of(topics.SCORE_REQUESTS)]

    def _keep(self, state: DecisionState | None, outputs: list[Output]) -> Records:
        self.kept = None if state is None else codec.encode(state)
        self.log += outputs
        return Records(outputs)


def answer(score: float, fallback: str = "", items: list[str] = ITEMS) -> Answer:
    """An answer with one score for every horizon; ``fallback`` is the reason of a fallback's."""
    return Answer(
        churn={"30d": score, "60d": score, "90d": score},
        raw_churn={"30d": score, "60d": score, "90d": score},
        expected_revenue_180d=120.0,
        median_revenue_180d=80.0,
        currency="GBP",
        candidates=[Candidate(item, 1.0 - rank / 100, "model") for rank, item in enumerate(items)],
        model=replace(MODEL, name="fallback") if fallback else MODEL,
        catalogue_version="c0ffee",
        fallback=bool(fallback),
        fallback_reason=fallback,
    )


class Shop:
    """Makes what tests begin with."""

    at = staticmethod(at)
    policies = staticmethod(policies)
    answer = staticmethod(answer)
    items = ITEMS

    def customer(
        self, name: str = "c1", in_force: PoliciesInForce | None = None, budget: Budget | None = None
    ) -> Customer:
        """Somebody of whom nothing is known."""
        return Customer(name, in_force, budget)

    def regular(
        self, name: str = "c1", in_force: PoliciesInForce | None = None, budget: Budget | None = None
    ) -> Customer:
        """Somebody who bought every 20 days, last on day 60."""
        return self.customer(name, in_force, budget).buys(0, 20, 40, 60)


@pytest.fixture(scope="session")
def shop() -> Shop:
    return Shop()
