"""Any bytes as the history of one customer, and what must hold of every fold of it.

Called by the fuzzer (``__main__.py``) and by the property tests, each with bytes of their own making.
"""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from stream.contracts.codec import encode
from stream.contracts.emission import Origin, Rejected
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS
from stream.profiles import codec, timers
from stream.profiles.bound import CUSTOMER_BOUND
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event

APPENDED: Final = 1_800_000_000_000
"""When every record was appended, epoch milliseconds."""
SETTINGS: Final = ProfileSettings(exchange_rates={"EUR": 0.85})
_TIMERS_AT_MOST: Final = 50


def fold_bytes(key: bytes, values: Iterable[bytes]) -> int:
    """Fold records of one key as a worker does. Returns how many were events.

    Raises:
        AssertionError: a state that does not survive its own codec, holds what is no number, or grows without bound.
        Exception: whatever else escapes; only ``Rejected`` is foreseen.
    """
    profile: Profile | None = None
    folded = 0
    for offset, value in enumerate(values):
        origin = Origin("events", 0, offset)
        try:
            event = read_event(value, key, (), APPENDED, SETTINGS)
            if event.type == "tick":
                continue
            time = event.time
            assert isinstance(time, int)
            result = fold(profile, event, time, origin, SETTINGS)
        except Rejected:
            continue
        folded += 1
        _check_request(result.request)
        profile = _kept(result.profile)
    _run_out(profile)
    return folded


def _kept(profile: Profile | None) -> Profile | None:
    """The profile as it comes back from the changelog."""
    if profile is None:
        return None
    written = codec.encode(profile)
    assert len(written) <= CUSTOMER_BOUND, len(written)
    for field in msgspec.structs.fields(Profile):
        value = getattr(profile, field.name)
        assert not isinstance(value, float) or math.isfinite(value), field.name
    read = codec.decode(written)
    assert codec.encode(read) == written
    return read


def _run_out(profile: Profile | None) -> None:
    """Nothing more comes: every timer fires, and there is an end of them."""
    for _ in range(_TIMERS_AT_MOST):
        if profile is None or not (due := timers.due(profile)):
            return
        fired = timers.on_timer(profile, due, Origin("events", 0, 0), SETTINGS)
        _check_request(fired.request)
        profile = _kept(fired.profile)
        assert profile is None or timers.due(profile) != due
        if due > APPENDED + 400 * DAY_MS:
            return


def _check_request(request: ScoreRequest | None) -> None:
    if request is not None:
        assert msgspec.json.decode(encode(request), type=ScoreRequest) == request
