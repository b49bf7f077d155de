"""Records that no producer should write: one of each way in which bytes fail to be an event.

Drawn by the chaos runs, and the first examples that the fuzzer gets.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.chaos.input_log import Written

_DEEP: Final = 20_000
_HUGE: Final = 700_000
_STRANGE: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    "",
    "\x00",
    "\ud83d",
    [],
    {},
    [[]],
    "x" * 300,
)


def poison(draw: Random) -> Written:
    """One record, with a key of its own or none."""
    key = draw.choice([None, b"", b"c1", draw.randbytes(8)])
    return Written(key, draw.choice(WAYS)(draw))


def _event(draw: Random) -> dict[str, Any]:
    return {
        "event_id": f"poison-{draw.randrange(10**9)}",
        "type": draw.choice(["browse", "cart", "purchase", "return", "review", "consent", "erase", "tick"]),
        "time": "2024-02-30T25:00:00Z",
        "customer_id": "c1",
        "currency": "GBP",
        "items": [{"item_id": "p1", "price": 1.5, "quantity": 2}],
    }


def _bytes(draw: Random) -> bytes:
    return draw.randbytes(draw.randrange(200))


def _cut(draw: Random) -> bytes:
    text = json.dumps(_event(draw)).encode()
    return text[: draw.randrange(len(text))]


def _bent(draw: Random) -> bytes:
    """A field of another type."""
    event = _event(draw)
    event[draw.choice(list(event))] = draw.choice(_STRANGE)
    return json.dumps(event).encode(errors="surrogatepass")


def _bent_item(draw: Random) -> bytes:
    event = _event(draw)
    item = event["items"][0]
    item[draw.choice(list(item))] = draw.choice(_STRANGE)
    return json.dumps(event).encode(errors="surrogatepass")


def _nested(draw: Random) -> bytes:
    opened = draw.choice([b"[", b'{"a":', b'{"items":['])
    return opened * _DEEP


def _huge(draw: Random) -> bytes:
    event = _event(draw)
    event[draw.choice(["event_id", "customer_id", "currency"])] = "x" * _HUGE
    return json.dumps(event).encode()


def _not_utf8(draw: Random) -> bytes:
    return json.dumps(_event(draw)).encode().replace(b"c1", draw.choice([b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80"]))


def _numbers(draw: Random) -> bytes:
    number = draw.choice([b"1e999", b"-1e999", b"NaN", b"Infinity", b"1" * 400, b"-0", b"0x10", b"1e-999"])
    return json.dumps(_event(draw)).encode().replace(b"1.5", number)


def _twice_named(draw: Random) -> bytes:
    return json.dumps(_event(draw)).encode()[:-1] + b', "type": "browse", "customer_id": "c2"}'


WAYS: Final[tuple[Callable[[Random], bytes], ...]] = (
    _bytes,
    _cut,
    _bent,
    _bent_item,
    _nested,
    _huge,
    _not_utf8,
    _numbers,
    _twice_named,
)
