"""The oracle of the whole fold accepts what the straight fold makes of a log, and nothing else."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from benchmarks.peers.oracle import WrongResult
from benchmarks.peers.straight_fold import Found, Refusal, StraightFold
from stream.contracts.codec import decode_score_request, encode
from stream.contracts.events import Event, Item, Review
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

START = 20_000 * DAY_MS
MUG = Item(item_id="mug", item_category="Kitchen", price=2.5, quantity=2)


class LogRecord:
    """What the oracle reads of a Kafka message."""

    def __init__(self, offset: int, event: Event) -> None:
        self._offset, self._event = offset, event

    def key(self) -> bytes:
        return self._event.customer_id.encode()

    def value(self) -> bytes:
        return encode(self._event)

    def topic(self) -> str:
        return "events"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, START + 400 * DAY_MS


def event(customer: str, days: float, **fields: object) -> Event:
    plain = Event(event_id=f"{customer}-{days}", type="browse", time=START + int(days * DAY_MS), customer_id=customer)
    return replace(plain, **fields)


LOG = (
    event("ada", 0, type="purchase", transaction_id="t1", items=[MUG]),
    event("ada", 1 / 48, type="review", review=Review(rating=4)),
    event("bob", 1, items=[MUG]),
    event("bob", 50),
    event("bob", 1.5),
)
"""Ada buys, and reviews within the interval; later her silence is noticed by bob's time. His last event is too late."""


@pytest.fixture
def straight() -> StraightFold:
    straight = StraightFold(ProfileSettings())
    for offset, one in enumerate(LOG):
        straight.see(LogRecord(offset, one))  # type: ignore[arg-type]
    return straight


@pytest.fixture
def states(straight: StraightFold) -> dict[bytes, bytes]:
    return {key: codec.encode(profile) for key, profile in straight.states.items()}


@pytest.fixture
def requests(straight: StraightFold) -> list[bytes]:
    return list(straight.requests.values())


@pytest.fixture
def refused(straight: StraightFold) -> list[Refusal]:
    return list(straight.refused)


def test_timers_fire_before_the_record_that_moves_time_past_them(requests: list[bytes]) -> None:
    asked = [decode_score_request(value) for value in requests]
    assert [(one.customer_id, one.trigger, one.as_of - START) for one in asked] == [
        ("ada", "purchase", 0),
        ("ada", "interval", HOUR_MS),
        ("ada", "silence", 45 * DAY_MS),
    ]
    assert [one.last_offset for one in asked] == [0, 2, 3]


def test_what_comes_too_late_is_refused(refused: list[Refusal]) -> None:
    assert refused == [Refusal(b"bob", encode(LOG[-1]), "too_late")]


def test_the_straight_fold_is_accepted(
    straight: StraightFold, states: dict[bytes, bytes], requests: list[bytes], refused: list[Refusal]
) -> None:
    straight.check(Found(states, requests, refused), exact=True)


def test_a_rounding_of_decayed_values_alone_is_let_pass(
    straight: StraightFold, states: dict[bytes, bytes], requests: list[bytes], refused: list[Refusal]
) -> None:
    bob = codec.decode(states[b"bob"])
    rounded = bytearray(bob.browse_counts)
    rounded[0] ^= 1
    states[b"bob"] = codec.encode(replace(bob, browse_counts=bytes(rounded)))
    straight.check(Found(states, requests, refused), exact=False)
    with pytest.raises(WrongResult, match="customer bob"):
        straight.check(Found(states, requests, refused), exact=True)
    rounded[5] ^= 1
    states[b"bob"] = codec.encode(replace(bob, browse_counts=bytes(rounded)))
    with pytest.raises(WrongResult, match="customer bob"):
        straight.check(Found(states, requests, refused), exact=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda states, requests, refused: states.pop(b"bob"), "customers with a state: 1"),
        (lambda states, requests, refused: states.update(eve=states[b"bob"]), "customers with a state: 1"),
        (lambda states, requests, refused: states.update({b"bob": states[b"ada"]}), "customer bob"),
        (lambda states, requests, refused: requests.pop(), "score requests: 1"),
        (lambda states, requests, refused: requests.append(requests[0]), "twice"),
        (lambda states, requests, refused: requests.append(requests.pop().replace(b":3", b":4")), "score request"),
        (lambda states, requests, refused: refused.pop(), "0 records were refused"),
        (lambda states, requests, refused: refused.append(refused[0]), "2 records were refused"),
    ],
    ids=["lost", "invented", "another's", "not asked", "asked twice", "asked elsewhere", "let in", "refused twice"],
)
def test_a_wrong_result_is_named(
    straight: StraightFold,
    states: dict[bytes, bytes],
    requests: list[bytes],
    refused: list[Refusal],
    change: Callable[[dict[bytes, bytes], list[bytes], list[Refusal]], object],
    said: str,
) -> None:
    change(states, requests, refused)
    with pytest.raises(WrongResult, match=said):
        straight.check(Found(states, requests, refused), exact=False)
