"""Whatever bytes come, a record is folded or refused with a code, and the state stays one that can be kept.

The same property as ``make fuzz`` searches for with coverage in hand.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.input_log import input_log
from tests.chaos.poison import WAYS
from tests.fuzz.history import fold_bytes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_bytes_are_folded_or_refused(values: list[bytes]) -> None:
    fold_bytes(b"c1", values)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(WAYS))
def test_poison_between_events_is_folded_or_refused(seed: int, way: Callable[[Random], bytes]) -> None:
    draw = Random(seed)
    events = [record for record in input_log(40, seed % 50, 2, days=1) if record.key == b"c1" and record.value]
    values = [value for record in events for value in (record.value or b"", way(draw))]
    assert fold_bytes(b"c1", values) > 0 or not events


FIELDS = ["event_id", "type", "time", "customer_id", "currency", "items", "transaction_id", "review", "consent", "mode"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4))
def test_json_of_wrong_shapes_is_folded_or_refused(fields: dict[str, Any]) -> None:
    event = {
        "event_id": "e1",
        "type": "purchase",
        "time": 1_600_000_000_000,
        "customer_id": "c1",
        "currency": "GBP",
        "items": [{"item_id": "p1", "price": 1.5, "quantity": 2}],
    }
    fold_bytes(b"c1", [json.dumps(event | fields).encode(), json.dumps(event).encode()])
