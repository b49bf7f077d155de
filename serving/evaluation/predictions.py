"""What a model says of every eligible customer at one cut-off, and the file in which that is kept.

Profiles are folded up to the cut-off and nothing later. The file names its cut-off and its model, so that two files
can be told apart. Called by ``serving.evaluation.comparison``, by training and by ``tidemark evaluate``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from serving.candidates import ranked_items
from serving.catalogue import Catalogue
from serving.dataset import ELIGIBLE_DAYS, examples
from serving.evaluation.baselines.rfm import eligible
from serving.evaluation.truth import bought_before
from serving.features import tensors
from serving.histories import read_interactions, read_own_items
from serving.history import Journey
from serving.model_card import HORIZONS_DAYS
from serving.scorer import Tensors
from stream.contracts.events import Event
from stream.contracts.times import to_epoch_ms, to_rfc3339
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

Predict = Callable[[Tensors], Mapping[str, npt.NDArray[Any]]]
"""Inputs to outputs, such as ``OnnxScorer.run``."""

RANKED: Final = 50
"""Items in each of the two rankings."""

_BATCH: Final = 256
_CUTOFF: Final = b"cutoff"
_MODEL: Final = b"model"


class Predictions(msgspec.Struct):
    """What a model said of N customers at one moment; arrays and lists have N rows, in the order of ``customers``."""

    as_of: int
    """Epoch milliseconds, the last one before the cut-off."""
    model: str
    """Name and version."""
    customers: list[str]
    churn: npt.NDArray[np.float64]
    """float64[N, 3]: probability of no purchase within each of ``HORIZONS_DAYS``."""
    revenue: npt.NDArray[np.float64]
    """float64[N, 2]: mean and median of the revenue of 180 days."""
    items: list[list[str]]
    """The likeliest items of the next basket, best first."""
    new_items: list[list[str]]
    """The same without what the customer bought before."""

    @property
    def cutoff(self) -> str:
        """ISO date."""
        return to_rfc3339(self.as_of + 1)[:10]


_COLUMNS: Final = (
    "customer_id",
    *(f"churn_{days}d" for days in HORIZONS_DAYS),
    "expected_revenue_180d",
    "median_revenue_180d",
    "items",
    "new_items",
)


class UnreadablePredictions(ValueError):
    """A file that does not hold what ``write_predictions`` writes."""


class DifferentCutoffs(ValueError):
    """Two files of predictions are about different moments: their figures cannot be compared."""


def predict_at(
    histories: dict[str, list[Event]],
    journeys: Mapping[str, Journey],
    cutoff: int,
    catalogue: Catalogue,
    predict: Predict,
    settings: ProfileSettings,
    model: str = "",
) -> Predictions:
    """Score every eligible customer with what was known before ``cutoff`` (epoch milliseconds)."""
    as_of = cutoff - 1
    wanted = set(eligible(journeys, as_of, ELIGIBLE_DAYS))
    own_histories = {
        customer: [event for event in events if to_epoch_ms(event.time) <= as_of]
        for customer, events in histories.items()
        if customer in wanted
    }
    calendar = (e for e in examples(own_histories, [cutoff], cutoff, settings) if e.trigger is None)
    found = sorted(calendar, key=lambda example: example.customer_id)
    said = Predictions(as_of, model, [], np.empty((0, len(HORIZONS_DAYS))), np.empty((0, 2)), [], [])
    churn, revenue = [said.churn], [said.revenue]
    for start in range(0, len(found), _BATCH):
        chunk = found[start : start + _BATCH]
        profiles = [codec.decode(example.profile) for example in chunk]
        moments = np.full(len(chunk), as_of, np.int64)
        outputs = predict(tensors(profiles, moments.tolist(), catalogue))
        own = read_own_items(profiles, moments, read_interactions(profiles))
        bought = [bought_before(journeys[example.customer_id], as_of) for example in chunk]
        items, new_items = ranked_items(np.asarray(outputs["query"]), own, catalogue, RANKED, bought)
        said.customers.extend(example.customer_id for example in chunk)
        said.items.extend(items)
        said.new_items.extend(new_items)
        churn.append(outputs["churn"].astype(np.float64))
        revenue.append(outputs["revenue"].astype(np.float64))
    said.churn, said.revenue = np.concatenate(churn), np.concatenate(revenue)
    return said


def write_predictions(path: Path, said: Predictions) -> None:
    """Write one row a customer: ``customer_id``, ``churn_30d``, ``churn_60d``, ``churn_90d``,
    ``expected_revenue_180d``, ``median_revenue_180d``, ``items``, ``new_items``."""
    columns: dict[str, Any] = {"customer_id": said.customers}
    columns |= {f"churn_{days}d": said.churn[:, place] for place, days in enumerate(HORIZONS_DAYS)}
    columns |= {"expected_revenue_180d": said.revenue[:, 0], "median_revenue_180d": said.revenue[:, 1]}
    columns |= {
        name: pa.array(lists, pa.list_(pa.string()))
        for name, lists in (("items", said.items), ("new_items", said.new_items))
    }
    table = pa.table(columns).replace_schema_metadata({_CUTOFF: said.cutoff.encode(), _MODEL: said.model.encode()})
    unfinished = path.with_name(f".{path.name}.unfinished")
    pq.write_table(table, unfinished, compression="zstd")
    unfinished.replace(path)


def read_predictions(path: Path, said: Predictions) -> Predictions:
    """Read a file that another model wrote about the customers and the cut-off of ``said``, in the order of ``said``.

    Raises:
        DifferentCutoffs: it is about another cut-off, or about other customers.
        UnreadablePredictions: it is no such file, or says nothing of a horizon that ``said`` speaks of.
    """
    try:
        # Opened here: what pyarrow says of a file that is not there is its path alone.
        with path.open("rb") as file:
            table = pq.read_table(file)
    except pa.ArrowInvalid as error:
        raise UnreadablePredictions(
            f"{path} is no parquet file: `tidemark evaluate --predictions` makes one"
        ) from error
    if missing := [name for name in _COLUMNS if name not in table.column_names]:
        raise UnreadablePredictions(
            f"{path} has no column {', '.join(missing)}: horizons and rankings must be those of this evaluation; "
            "`tidemark evaluate --predictions` writes them all"
        )
    metadata = table.schema.metadata or {}
    cutoff = metadata.get(_CUTOFF, b"").decode()
    customers = table["customer_id"].to_pylist()
    place = {customer: row for row, customer in enumerate(customers)}
    if len(place) < len(customers):
        raise UnreadablePredictions(f"{path} has {len(customers) - len(place)} customers twice: one row each is needed")
    _require_cutoff(str(path), cutoff, said)
    _require_customers(str(path), place.keys(), said)
    table = table.take([place[customer] for customer in said.customers])
    return Predictions(
        said.as_of,
        metadata.get(_MODEL, b"").decode(),
        said.customers,
        np.column_stack([table[f"churn_{days}d"].to_numpy() for days in HORIZONS_DAYS]),
        np.column_stack([table[f"{name}_revenue_180d"].to_numpy() for name in ("expected", "median")]),
        table["items"].to_pylist(),
        table["new_items"].to_pylist(),
    )


def require_same(name: str, other: Predictions, said: Predictions) -> None:
    """Check that two sets of predictions may be compared: one cut-off, the same customers in the same order.

    Raises:
        DifferentCutoffs: they are not about the same; the message names ``name``.
    """
    _require_cutoff(name, other.cutoff, said)
    _require_customers(name, set(other.customers), said)
    if other.customers != said.customers:
        raise DifferentCutoffs(f"{name} has its customers in another order: rows would be compared with other rows")


def _require_cutoff(name: str, cutoff: str, said: Predictions) -> None:
    if cutoff != said.cutoff:
        raise DifferentCutoffs(
            f"{name} was made at cut-off {cutoff or 'unknown'}, this evaluation is at {said.cutoff}: base rates differ "
            "between cut-offs, so their figures must not be compared; evaluate both models at one cut-off"
        )


def _require_customers(name: str, customers: Set[str], said: Predictions) -> None:
    if customers != set(said.customers):
        raise DifferentCutoffs(
            f"{name} is about {len(customers)} customers, this evaluation about {len(said.customers)}, and they are "
            "not the same: evaluate both models on one file of events"
        )
