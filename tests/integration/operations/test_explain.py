"""`tidemark explain` on a real broker: what two workers did is told as it was, with what was stored then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from stream.configuration.load import load
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.codec import encode
from stream.contracts.events import Event, Item, Review
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Answer, Contribution, ModelStamp
from stream.contracts.times import DAY_MS
from stream.decisions.deployment import Deployment
from stream.decisions.policy_history import PolicyHistory
from stream.engine.processor import Stage
from stream.operations.history.explaining import NothingKnown, explain
from stream.operations.history.timeline import Answered, Explanation, Happened, Transition
from stream.operations.promotion import in_force
from stream.testing.topics import Topics
from stream.workers.decisions import DecisionsProcessor, Question
from stream.workers.policies import RegisteredPolicies
from stream.workers.process import VERSION
from stream.workers.profiles import ProfilesProcessor
from tests.integration.operations.work import command, working

PARTITIONS = 3
START = 1_300_000_000_000
ANN, BOB = [name for name in (f"c-{number}" for number in range(20)) if partition_for(name.encode(), PARTITIONS) == 1][
    :2
]
PLANTED = Contribution("planted", 7.0, "shares", None, 0.125)
"""A reason that no model and no rule would give."""


class Canned(Stage[Question]):
    """Everybody is likely to leave, for a reason that nobody could find again."""

    def needs(self, payload: Question) -> bool:
        return payload.request.kind == "score"

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        churn = {"30d": 0.9, "60d": 0.9, "90d": 0.9}
        stamp = ModelStamp("customer", "1.canned", "f")
        return [Answer(churn, churn, 1.0, 1.0, "GBP", [], stamp, reasons=[PLANTED]) for _ in batch]


def event(customer: str, type_: str, day: float) -> Event:
    return Event(
        event_id=f"{customer}-{type_}-{day}",
        type=type_,  # type: ignore[arg-type]
        time=START + int(day * DAY_MS),
        customer_id=customer,
        transaction_id=f"{customer}-{day}" if type_ == "purchase" else "",
        items=[Item("mug", price=2.5, quantity=2.0)],
        review=Review(rating=2.0) if type_ == "review" else None,
    )


HISTORY = [
    *(event(ANN, "purchase", day) for day in (0, 20, 40, 60)),
    # Time goes on by somebody else: Ann's silence is noticed forty days after her last order.
    event(BOB, "browse", 101),
    event(ANN, "review", 103),
    event(ANN, "purchase", 105),
    event(ANN, "review", 125),
    event(BOB, "browse", 126),
]


@pytest.fixture
def holdout() -> str:
    return "0.0"


@pytest.fixture
def environ(topics: Topics, holdout: str) -> dict[str, str]:
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
        "TIDEMARK__TOPICS__PARTITIONS": str(PARTITIONS),
        "TIDEMARK__POLICIES__HOLDOUT_SHARE": holdout,
    }


@pytest.fixture
def lived(deployment: Configuration, topics: Topics) -> Configuration:
    """Both roles have worked off the history, and are gone."""
    names = deployment.topics.topic_names()
    log = [(one.customer_id, encode(one)) for one in HISTORY]
    topics.produce(names.physical(logical.EVENTS), [*log, (ANN, b"no event")], partition=1)
    with working(deployment, ProfilesProcessor(names, deployment.profiles, PARTITIONS, VERSION)):
        pass
    registry = open_registry(deployment)
    rollout = in_force(deployment, registry)
    policies = RegisteredPolicies(registry, lambda: PolicyHistory(deployment.policies), lambda: rollout)
    secret = Deployment(secret=deployment.deployment.secret.encode(), partitions=PARTITIONS)
    with working(deployment, DecisionsProcessor(names, policies, secret, Canned())):
        pass
    return deployment


def answers(found: Explanation) -> list[Answered]:
    return [entry for entry in found.entries if isinstance(entry, Answered)]


def test_a_time_line_says_what_was_decided_and_why(
    lived: Configuration, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explain(lived, ANN)
    outcomes = [became for entry in answers(found) for became in entry.outcomes.values()]
    assert outcomes == ["too_early"] * 4 + ["raised", "unchanged", "purchased", "cool_down"]
    assert [entry.remark for entry in answers(found)] == [""] * 8
    silence, cool_down = answers(found)[4], answers(found)[-1]
    assert (silence.trigger, silence.at) == ("silence", START + 100 * DAY_MS)
    condition = cool_down.judged[0].conditions[-1]
    assert (condition.observed, condition.limit) == (START + 125 * DAY_MS, START + 135 * DAY_MS)
    refused = [entry for entry in found.entries if isinstance(entry, Happened) and entry.outcome == "not_json"]
    assert [entry.partition for entry in refused] == [1]
    alerts = [entry for entry in found.entries if isinstance(entry, Transition)]
    assert [entry.alert.status for entry in alerts] == ["raised", "resolved"]

    # By the alert's id, as text, as JSON and as a page; the reason is the one that was stored.
    alert_id = alerts[0].alert.alert_id
    assert explain(lived, alert_id).customer_id == ANN
    code, out = command(["explain", alert_id], environ, capsys)
    assert code == 0
    assert "Planted: 7 shares" in out
    assert "cool-down until 2011-07-26" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out = command(["explain", ANN, "--json"], environ, capsys)
    told = json.loads(out)
    assert (code, len(told["entries"])) == (0, len(found.entries))
    assert PLANTED.code in {reason["code"] for each in told["entries"] for reason in each.get("reasons", ())}
    code, _ = command(["explain", alert_id, "--html", str(tmp_path / "page.html")], environ, capsys)
    assert code == 0
    assert "Planted: 7 shares" in (tmp_path / "page.html").read_text()
    assert command(["explain", "nobody"], environ, capsys)[0] == 5


def test_under_other_thresholds_nothing_is_told_that_was_not_so(lived: Configuration, environ: dict[str, str]) -> None:
    changed = environ | {"TIDEMARK__POLICIES__CHURN_RISK__COOL_DOWN_DAYS": "1"}
    found = explain(load(None, changed).configuration, ANN)
    assert [entry.outcome for entry in answers(found)][-1] == "churn_risk=cool_down"
    assert all(entry.judged == [] and "policy" in entry.remark for entry in answers(found))


@pytest.mark.parametrize("holdout", ["1.0"])
def test_an_alert_of_the_control_group_is_told_as_such(lived: Configuration, holdout: str) -> None:
    found = explain(lived, ANN)
    alerts = [entry for entry in found.entries if isinstance(entry, Transition)]
    assert {entry.topic for entry in alerts} == {"alerts_holdout"}
    assert explain(lived, alerts[0].alert.alert_id).entries == found.entries
    with pytest.raises(NothingKnown, match="no customer and no alert"):
        explain(lived, "00000000-0000-0000-0000-000000000000")
