"""One row for each alert episode: whether it counts, whether it was right, and how far it came before the customer's
own expected next purchase.

``serving.evaluation.alerts`` adds the rows up; ``tidemark evaluate --alerts --rows`` writes them to a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from serving.evaluation.purchase_table import PurchaseTable
from stream.contracts.times import DAY_MS


class FiredAlert(NamedTuple):
    """The raising of one episode."""

    customer_id: str
    as_of: int
    """Epoch milliseconds."""
    score: float
    kind: str = ""
    threshold: float = float("nan")
    """The score from which it was raised."""


class Episode(msgspec.Struct, frozen=True):
    """One alert and what became of it. Times are epoch milliseconds; what cannot be said is None."""

    customer_id: str
    kind: str
    raised_at: int
    score: float
    threshold: float
    active: bool
    """The customer had bought within the days in which somebody counts as active."""
    over: bool
    """The horizon ends within the history."""
    right: bool | None
    """No purchase followed within the horizon."""
    base_rate: float | None
    """Share without a purchase within the horizon among all customers active at the same instant."""
    next_purchase: int | None
    expected_purchase: float | None
    """See ``PurchaseTable.expected``."""
    lead_days: float | None
    """Days from the alert until the expected purchase; negative: it was overdue already."""

    @property
    def counted(self) -> bool:
        """It is judged: of an active customer, with its horizon over."""
        return self.active and self.over


def episodes_of(
    alerts: Iterable[FiredAlert], table: PurchaseTable, horizon_ms: int, active_ms: int, end: int
) -> list[Episode]:
    """The row of each alert, in the order given.

    Args:
        end: epoch milliseconds up to which the purchases are complete.
    """
    return [_episode(alert, table, horizon_ms, active_ms, end) for alert in alerts]


def _episode(alert: FiredAlert, table: PurchaseTable, horizon_ms: int, active_ms: int, end: int) -> Episode:
    row, over = table.row(alert.customer_id), alert.as_of + horizon_ms <= end
    expected = following = right = base_rate = None
    is_active = False
    if row is not None:
        active = table.active(alert.as_of, active_ms)
        is_active = bool(active[row])
        following, expected = table.following(row, alert.as_of), table.expected(row, alert.as_of)
        if over:
            silent = table.silent(alert.as_of, horizon_ms)
            right = bool(silent[row])
            base_rate = float(silent[active].mean()) if active.any() else None
    return Episode(
        alert.customer_id,
        alert.kind,
        alert.as_of,
        alert.score,
        alert.threshold,
        is_active,
        over,
        right,
        base_rate,
        following,
        expected,
        None if expected is None else (expected - alert.as_of) / DAY_MS,
    )


ROWS_SUFFIXES: Final = (".parquet", ".csv")
"""How the name of a file for ``write_episodes`` ends."""


def write_episodes(path: Path, episodes: Sequence[Episode]) -> None:
    """Write one row an episode, as the ending of ``path`` says (``ROWS_SUFFIXES``). Times are UTC timestamps."""
    rows = [msgspec.structs.asdict(episode) for episode in episodes]
    columns = {name: [row[name] for row in rows] for name in Episode.__struct_fields__}
    columns["expected_purchase"] = [None if at is None else round(at) for at in columns["expected_purchase"]]
    columns["threshold"] = [None if np.isnan(value) else value for value in columns["threshold"]]
    table = pa.table({name: pa.array(values, _TYPES[name]) for name, values in columns.items()})
    unfinished = path.with_name(f".{path.name}.unfinished")
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, unfinished)
    else:
        pq.write_table(table, unfinished, compression="zstd")
    unfinished.replace(path)


_MOMENT = pa.timestamp("ms", tz="UTC")
_TYPES = {
    "customer_id": pa.string(),
    "kind": pa.string(),
    "raised_at": _MOMENT,
    "score": pa.float64(),
    "threshold": pa.float64(),
    "active": pa.bool_(),
    "over": pa.bool_(),
    "right": pa.bool_(),
    "base_rate": pa.float64(),
    "next_purchase": _MOMENT,
    "expected_purchase": _MOMENT,
    "lead_days": pa.float64(),
}
