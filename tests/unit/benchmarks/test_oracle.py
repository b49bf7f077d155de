"""The oracle of the comparison accepts what the straight fold makes of a log, and nothing else."""

from collections.abc import Callable

import orjson
import pytest

from benchmarks.peers.oracle import Oracle, Totals, WrongResult

LOG = [
    {"customer_id": "ada", "type": "browse", "items": [{"item_id": "p1", "price": 9.0}]},
    {"customer_id": "ada", "type": "purchase", "items": [{"item_id": "p2", "price": 0.1, "quantity": 3}]},
    {"customer_id": "bob", "type": "engagement"},
    {"customer_id": "ada", "type": "purchase", "items": [{"item_id": "p3", "price": 0.2, "quantity": 1}]},
]
SPEND = 0.1 * 3 + 0.2
STATES = {
    "ada": Totals({"browse": 1, "purchase": 2}, SPEND, ["p1", "p2", "p3"]),
    "bob": Totals({"engagement": 1}, 0.0, []),
}
FIRST = orjson.dumps({"customer_id": "ada", "events": 2, "spend": 0.1 * 3, "last_item": "p2"})
SECOND = orjson.dumps({"customer_id": "ada", "events": 3, "spend": SPEND, "last_item": "p3"})


@pytest.fixture
def oracle() -> Oracle:
    oracle = Oracle()
    for event in LOG:
        oracle.see(orjson.dumps(event))
    return oracle


def test_the_straight_fold_is_accepted(oracle: Oracle) -> None:
    oracle.check(STATES, [FIRST, SECOND])


def test_items_beyond_the_last_fifty_are_forgotten() -> None:
    oracle = Oracle()
    for number in range(60):
        oracle.see(orjson.dumps({"customer_id": "ada", "type": "browse", "items": [{"item_id": f"p{number}"}]}))
    oracle.check({"ada": Totals({"browse": 60}, 0.0, [f"p{number}" for number in range(10, 60)])}, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda states: states.pop("bob"), "bob"),
        (lambda states: states.update(eve=states["bob"]), "eve"),
        (lambda states: states.update(bob=Totals({"engagement": 2}, 0.0, [])), "customer bob"),
        (lambda states: states["ada"].items.reverse(), "customer ada"),
        (lambda states: states.update(ada=states["ada"]._replace(spend=SPEND + 1e-12)), "customer ada"),
    ],
    ids=["lost", "invented", "twice", "order", "spend"],
)
def test_a_wrong_state_is_named(oracle: Oracle, change: Callable[[dict[str, Totals]], object], said: str) -> None:
    states = {name: totals._replace(items=[*totals.items]) for name, totals in STATES.items()}
    change(states)
    with pytest.raises(WrongResult, match=said):
        oracle.check(states, [FIRST, SECOND])


@pytest.mark.parametrize(
    "summaries", [[FIRST], [FIRST, FIRST, SECOND], [SECOND, FIRST]], ids=["lost", "twice", "order"]
)
def test_wrong_summaries_are_noticed(oracle: Oracle, summaries: list[bytes]) -> None:
    with pytest.raises(WrongResult, match="summar"):
        oracle.check(STATES, summaries)
