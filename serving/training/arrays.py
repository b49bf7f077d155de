"""Examples as arrays: the tensors that features make of them, and their labels as far as known at a moment.

Called by ``serving.training.train`` once; fitting then draws batches from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from serving.catalogue import Catalogue
from serving.dataset import Example
from serving.features import FEATURES, tensors
from serving.history import Journey, outcome
from serving.model_card import HORIZONS_DAYS
from serving.scorer import NUMPY_TYPES
from serving.training.losses import Targets
from stream.contracts.ids import item_hash
from stream.profiles import codec

NEXT_ITEMS: Final = 16
"""Items of the next basket that an example carries, at most; a basket has 20 in the mean, and examples repeat it."""

_CHUNK: Final = 512

Report = Callable[[str, int, int], None]
"""Told what is going on, how much is done, and of how much."""


class ExampleArrays(NamedTuple):
    """N examples, in the order given. Tensors by name have N rows."""

    tensors: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int32] | npt.NDArray[np.int16]]
    lengths: npt.NDArray[np.intp]
    as_of: npt.NDArray[np.int64]
    calendar: npt.NDArray[np.bool_]
    customer: npt.NDArray[np.intp]
    """Whose each is: a number from 0 for every customer."""


def example_arrays(found: Sequence[Example], catalogue: Catalogue, report: Report) -> ExampleArrays:
    """The features of ``found``. Tokens are kept as int16, which halves what a hundred thousand examples take."""
    kept = {
        spec.name: np.empty(
            (len(found), *spec.shape), np.int16 if spec.name == "history_tokens" else NUMPY_TYPES[spec.dtype]
        )
        for spec in FEATURES
    }
    as_of = np.fromiter((example.as_of for example in found), np.int64, len(found))
    for start in range(0, len(found), _CHUNK):
        chunk = found[start : start + _CHUNK]
        made = tensors(
            [codec.decode(example.profile) for example in chunk], [example.as_of for example in chunk], catalogue
        )
        for name, array in kept.items():
            array[start : start + len(chunk)] = made[name]
        report("features", start + len(chunk), len(found))
    return ExampleArrays(
        tensors=kept,
        lengths=(kept["history_events"] > 0).sum(axis=1),
        as_of=as_of,
        calendar=np.fromiter((example.trigger is None for example in found), np.bool_, len(found)),
        customer=np.unique([example.customer_id for example in found], return_inverse=True)[1],
    )


class Labels(NamedTuple):
    """Outcomes of N examples as known at a moment; see ``losses.Targets``."""

    bought: npt.NDArray[np.float32]
    revenue: npt.NDArray[np.float32]
    next_items: npt.NDArray[np.int32]

    def churned(self, horizon: int) -> npt.NDArray[np.float32]:
        """float32[N]: 1 no purchase up to and with this horizon (0, 1, 2), 0 a purchase, -1 not known yet."""
        known = self.bought[:, horizon] >= 0
        return np.where(known, (self.bought[:, : horizon + 1] == 0).all(axis=1), -1).astype(np.float32)


def labels(found: Sequence[Example], journeys: Mapping[str, Journey], until: int, catalogue: Catalogue) -> Labels:
    """What is known of the examples at ``until``. Items that the catalogue does not know are left out."""
    bought = np.empty((len(found), len(HORIZONS_DAYS)), np.float32)
    revenue = np.empty(len(found), np.float32)
    next_items = np.full((len(found), NEXT_ITEMS), -1, np.int32)
    for row, example in enumerate(found):
        known = outcome(journeys.get(example.customer_id), example.as_of, until, HORIZONS_DAYS)
        bought[row], revenue[row] = known.bought, known.revenue
        if known.basket:
            rows = catalogue.rows(np.fromiter(map(item_hash, known.basket), np.uint64, len(known.basket)))
            rows = rows[rows >= 0][:NEXT_ITEMS]
            next_items[row, : len(rows)] = rows
    return Labels(bought, revenue, next_items)


def batch_of(arrays: ExampleArrays, rows: npt.NDArray[np.intp]) -> dict[str, Tensor]:
    """The network's inputs for ``rows``, cut to the longest history among them."""
    length = max(1, int(arrays.lengths[rows].max()))
    batch: dict[str, Tensor] = {}
    for spec in FEATURES:
        array = arrays.tensors[spec.name][rows]
        if spec.name != "stats":
            array = array[:, -length:]
        batch[spec.name] = torch.from_numpy(array.astype(NUMPY_TYPES[spec.dtype]))
    return batch


def targets_of(made: Labels, rows: npt.NDArray[np.intp]) -> Targets:
    """The labels of ``rows``."""
    return Targets(
        torch.from_numpy(made.bought[rows]),
        torch.from_numpy(made.next_items[rows].astype(np.int64)),
    )
