"""From profiles to the model's input tensors: the only place where this is defined, for training and for serving alike.

A feature is a function of the profile's bytes, of the moment asked for, of the item names in the catalogue, and of the
season and purchase rates that travel with the model: nothing else is read. Called by the decisions worker for live
requests and by ``serving.training`` for examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.histories import HISTORY, Interactions, read_interactions
from serving.scorer import TensorSpec
from serving.statistics import STATISTICS, STATISTICS_VERSION, statistics
from serving.tokens import TOKEN_BUCKETS, TOKENISER, TOKENS_PER_ITEM
from stream.profiles import interactions
from stream.profiles.profile import Profile

EVENT_CODES: Final = tuple(interactions.TYPES.values())
"""Types of interaction; their codes count from 1, and 0 is padding."""

FEATURES: Final = (
    TensorSpec("stats", "FP32", (len(STATISTICS),)),
    TensorSpec("history_tokens", "INT32", (HISTORY, TOKENS_PER_ITEM)),
    TensorSpec("history_events", "INT32", (HISTORY,)),
    TensorSpec("history_values", "FP32", (HISTORY,)),
)
"""The inputs. A history is right-aligned: its newest interaction is at place 63, what is missing is zero at the
beginning. It says in which order things happened, not when: the query was worse where it read the time between them.

``stats``
    See ``serving.statistics``.
``history_tokens``
    Words of the item's name, see ``serving.tokens``; zeros for an item that the catalogue does not know.
``history_events``
    1 to 5, see ``EVENT_CODES``.
``history_values``
    Log of one plus the amount in currency; negative for a return; a review's rating, 1 to 5, over 5.
"""

FEATURE_SCHEMA: Final = hashlib.sha256(
    repr((FEATURES, STATISTICS, STATISTICS_VERSION, EVENT_CODES, TOKENISER, TOKEN_BUCKETS)).encode()
).hexdigest()[:16]
"""Names, order, types and shapes of the features. A model is served with the schema it was trained on, or not at
all."""


def tensors(profiles: Sequence[Profile], as_of: Sequence[int], catalogue: Catalogue) -> dict[str, npt.NDArray[Any]]:
    """The inputs of B customers by name, each contiguous, with B rows.

    Args:
        profiles: the customers' states.
        as_of: epoch milliseconds at which each is asked for, not before the profile's newest event.
        catalogue: names the items, and carries what the model knows of the shop. An item that it does not know has no
            words.
    """
    moments = np.asarray(as_of, np.int64)
    seen = read_interactions(profiles)
    batch = len(profiles)

    tokens = np.zeros((batch, HISTORY, TOKENS_PER_ITEM), np.int32)
    tokens[seen.row, seen.column] = catalogue.tokens[catalogue.rows(seen.item)]
    events = np.zeros((batch, HISTORY), np.int32)
    events[seen.row, seen.column] = seen.code
    values = np.zeros((batch, HISTORY), np.float32)
    values[seen.row, seen.column] = _values(seen)
    return {
        "stats": statistics(profiles, moments, seen, catalogue.shop),
        "history_tokens": tokens,
        "history_events": events,
        "history_values": values,
    }


def _values(seen: Interactions) -> npt.NDArray[np.float64]:
    units = np.where(seen.code == interactions.BROWSE, 1.0, seen.quantity)
    amount = np.log1p(seen.price * units)
    amount = np.where(seen.code == interactions.RETURN, -amount, amount)
    values: npt.NDArray[np.float64] = np.where(seen.code == interactions.REVIEW, seen.quantity / 5.0, amount)
    return values
