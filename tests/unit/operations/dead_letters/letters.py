"""Dead letters as a test wants them."""

import json
from typing import Any

from stream.contracts.dead_letters import dead_letter, read_verdict
from stream.contracts.emission import DeadLetterCode, Origin, Rejected
from stream.contracts.headers import RecordHeaders
from stream.operations.dead_letters.judging import Judge
from stream.operations.dead_letters.letters import Letter, Place
from stream.profiles.settings import ProfileSettings

NOW = 1_800_000_000_000
EVENTS, REQUESTS = "customer.events.v1", "customer.score-requests.v1"
ORIGIN, PLACE = Origin(EVENTS, 1, 7), Place(0, 17)


def event(**fields: Any) -> bytes:
    """A good purchase; ``fields`` replace its own, and None takes one away."""
    made = {
        "event_id": "e1",
        "type": "purchase",
        "time": NOW - 60_000,
        "customer_id": "ada",
        "items": [{"item_id": "tea", "price": 12.0}],
    }
    return json.dumps({name: value for name, value in (made | fields).items() if value is not None}).encode()


def letter(
    value: bytes | None = None,
    code: DeadLetterCode = "out_of_range",
    *,
    key: bytes | None = b"ada",
    field: str = "",
    message: str = "not believed",
    origin: Origin = ORIGIN,
    headers: RecordHeaders = (),
    timestamp: int = NOW - 60_000,
    refused_at: int = NOW,
    place: Place = PLACE,
) -> Letter:
    """A letter as the engine writes it and a reader finds it."""
    written = dead_letter(
        Rejected(code, message, field),
        origin,
        key=key,
        value=value,
        headers=headers,
        timestamp=timestamp,
        worker_version="1",
    )
    verdict = read_verdict(written.headers)
    return Letter("topic-id", place, refused_at, written.key, written.value, verdict, written.headers)


def foreign(value: bytes) -> Letter:
    """A record that no worker has written."""
    return Letter("topic-id", Place(0, 18), NOW, None, value, None, ())


def judge(**settings: Any) -> Judge:
    return Judge(EVENTS, REQUESTS, {EVENTS: 4, REQUESTS: 4}, ProfileSettings(**settings))
