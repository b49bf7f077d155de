"""How large encoded profiles are: those of the demo's customers, and those that the restore is measured with.

    python -m benchmarks.state_sizes

What a worker's memory holds beside these bytes is measured by ``benchmarks.restore``.
"""

from collections.abc import Iterable

import msgspec

from benchmarks.restore import templates
from stream.contracts.emission import Origin, Rejected
from stream.contracts.times import to_epoch_ms
from stream.operations.demo_events import sample
from stream.operations.observe import percentile
from stream.profiles import codec
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings


class Sizes(msgspec.Struct, kw_only=True):
    """Encoded bytes of the profiles of some customers."""

    data: str
    customers: int
    p50: int
    p99: int
    most: int


def of_the_demo() -> list[Profile]:
    """The demo's customers after their last event."""
    settings = ProfileSettings()
    profiles: dict[str, Profile] = {}
    for event in sample():
        event.time = time = to_epoch_ms(event.time)
        try:
            profile = fold(profiles.get(event.customer_id), event, time, Origin("", 0, 0), settings).profile
        except Rejected:
            continue
        assert profile is not None
        profiles[event.customer_id] = profile
    return list(profiles.values())


def sizes(data: str, profiles: Iterable[Profile]) -> Sizes:
    """Of ``profiles``, which are called ``data`` in the table."""
    encoded = [len(codec.encode(profile)) for profile in profiles]
    p50, p99 = int(percentile(encoded, 0.5)), int(percentile(encoded, 0.99))
    return Sizes(data=data, customers=len(encoded), p50=p50, p99=p99, most=max(encoded))


def measure() -> list[Sizes]:
    """Both, in order of the table."""
    return [sizes("the demo", of_the_demo()), sizes("the simulated shop", templates()[0])]


def main() -> None:
    print(f"{'profiles of':<20}{'customers':>10}{'p50 bytes':>11}{'p99':>7}{'most':>7}")
    for one in measure():
        print(f"{one.data:<20}{one.customers:>10,}{one.p50:>11,}{one.p99:>7,}{one.most:>7,}")


if __name__ == "__main__":
    main()
