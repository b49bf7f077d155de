"""Reads recorded events and says what customers did after a moment: the truth that models are trained on and judged by.

Features never come from here: they come from folding (``serving.dataset``). Called by the dataset, by training and by
evaluation.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import decode_event
from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, LATEST_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event

REVENUE_DAYS: Final = 180
"""Days over which revenue is predicted."""


class UnreadableEvents(ValueError):
    """A file that does not hold canonical events; the message names the line."""


class _Identified(msgspec.Struct):
    event_id: str = ""


def read_events(
    paths: Iterable[Path], settings: ProfileSettings, refused: Counter[str] | None = None
) -> Iterator[Event]:
    """The canonical events of files ``.jsonl``, ``.jsonl.gz`` or ``.parquet``, in the order of the files.

    An event that the live path would send to the dead letters is left out, and counted in ``refused`` by code.

    Raises:
        UnreadableEvents: a line is not JSON, or not an event.
    """
    for path in paths:
        rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
        for number, row in enumerate(rows, 1):
            try:
                whole = _with_id(row)
                key = decode_event(whole).subject.encode()
                yield read_event(whole, key, (), LATEST_MS, settings)
            except msgspec.DecodeError as error:
                raise UnreadableEvents(
                    f"{path}, line {number}: {error}: see the README for what an event is"
                ) from error
            except Rejected as rejected:
                if refused is not None:
                    refused[rejected.code] += 1


_decode_id: Final = msgspec.json.Decoder(_Identified).decode


def _with_id(row: bytes) -> bytes:
    """``row`` with an ``event_id`` of its own where it lacks one, as `tidemark ingest` gives it."""
    if _decode_id(row).event_id:
        return row
    event = msgspec.json.decode(row)
    event["event_id"] = hashlib.blake2b(row, digest_size=16).hexdigest()
    return msgspec.json.encode(event)


def _json_rows(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        yield from (line for line in lines if line.strip())


def _parquet_rows(path: Path) -> Iterator[bytes]:
    for batch in pq.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            yield msgspec.json.encode(_without_nulls(row))


def _without_nulls(value: Any) -> Any:
    # Parquet has a column where JSON leaves a field out.
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Journey(NamedTuple):
    """A customer's purchases, ascending in time."""

    times: npt.NDArray[np.int64]
    """int64[N]: epoch milliseconds of each purchase."""
    revenue: npt.NDArray[np.float64]
    """float64[N]: gross amount of each."""
    items: list[tuple[str, ...]]
    """Item ids of each."""


def is_purchase(event: Event) -> bool:
    """True for a purchase with at least one line of positive price and quantity."""
    return event.type == "purchase" and any((line.price or 0) > 0 and _units(line.quantity) > 0 for line in event.items)


def _units(quantity: float | None) -> float:
    return 1.0 if quantity is None else quantity


def journeys(events: Iterable[Event], settings: ProfileSettings) -> dict[str, Journey]:
    """Purchases by customer, in the configured currency; anonymous events and unknown currencies are left out."""
    found: dict[str, list[tuple[int, float, tuple[str, ...]]]] = {}
    for event in events:
        rate = settings.rate(event.currency)
        if event.customer_id and rate is not None and is_purchase(event):
            lines = [line for line in event.items if (line.price or 0) > 0 and _units(line.quantity) > 0]
            amount = rate * sum((line.price or 0.0) * _units(line.quantity) for line in lines)
            ids = tuple(dict.fromkeys(line.item_id for line in lines))
            found.setdefault(event.customer_id, []).append((to_epoch_ms(event.time), amount, ids))
    return {customer: _journey(purchases) for customer, purchases in found.items()}


def _journey(purchases: list[tuple[int, float, tuple[str, ...]]]) -> Journey:
    purchases.sort(key=lambda purchase: purchase[0])
    return Journey(
        np.array([time for time, _, _ in purchases], np.int64),
        np.array([amount for _, amount, _ in purchases], np.float64),
        [ids for _, _, ids in purchases],
    )


class Outcome(NamedTuple):
    """What followed a moment, as far as it is known at ``until``."""

    bought: tuple[float, ...]
    """For each horizon: 1 bought between the former horizon and this one first, 0 did not, -1 unknown."""
    revenue: float
    """Gross revenue of ``REVENUE_DAYS``; -1 unknown."""
    basket: tuple[str, ...]
    """Items of the first day with a purchase; empty when none is known."""


def outcome(journey: Journey | None, as_of: int, until: int, horizons_days: Sequence[int]) -> Outcome:
    """What the customer did in ``(as_of, until]``. Nothing after ``until`` is looked at."""
    if journey is None:
        journey = _journey([])
    first = int(np.searchsorted(journey.times, as_of, side="right"))
    last = int(np.searchsorted(journey.times, until, side="right"))
    waited = (journey.times[first] - as_of) / DAY_MS if first < last else np.inf
    # An interval counts once it is over: counting early buyers before the others are known would make churn look rare.
    bought = tuple(
        -1.0 if as_of + days * DAY_MS > until else float(since < waited <= days)
        for since, days in zip((0, *horizons_days), horizons_days, strict=False)
    )
    window = as_of + REVENUE_DAYS * DAY_MS
    in_window = int(np.searchsorted(journey.times, window, side="right"))
    revenue = float(journey.revenue[first:in_window].sum()) if window <= until else -1.0
    return Outcome(bought, revenue, _first_basket(journey, first, last))


def _first_basket(journey: Journey, first: int, last: int) -> tuple[str, ...]:
    if first >= last:
        return ()
    day = journey.times[first] // DAY_MS
    same_day = [i for i in range(first, last) if journey.times[i] // DAY_MS == day]
    return tuple(dict.fromkeys(item for i in same_day for item in journey.items[i]))


def catalogue_items(events: Iterable[Event], until: int) -> list[CatalogueItem]:
    """The items named in events up to ``until``, with the last name, group, category and price that they were sold
    under."""
    found: dict[str, CatalogueItem] = {}
    for event in events:
        if to_epoch_ms(event.time) > until:
            continue
        for line in event.items:
            former = found.get(line.item_id)
            found[line.item_id] = CatalogueItem(
                item_id=line.item_id,
                item_name=line.item_name or (former.item_name if former else ""),
                item_group_id=line.item_group_id or (former.item_group_id if former else ""),
                item_category=line.item_category or (former.item_category if former else ""),
                price=line.price if line.price is not None else (former.price if former else None),
                currency=event.currency,
            )
    return list(found.values())
