"""From the model's output tensors to answers: validated, rounded, and with ranked candidates.

An output that cannot be believed raises ``BadOutput``, and the worker lets the fallback answer. What becomes of an
answer (alerts, recommendations) is decided in ``stream.decisions``. Called by the decisions worker and by evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.candidates import candidates
from serving.catalogue import Catalogue
from serving.histories import read_interactions, read_own_items
from serving.model_card import HORIZONS
from serving.scorer import NUMPY_TYPES, OUTPUTS, BadOutput, Tensors
from stream.contracts.scores import Answer, ModelStamp, ScoreRequest
from stream.profiles.profile import Profile

CHURN_DIGITS: Final = 3
"""Probabilities are rounded to 1e-3: noise below that must not open or close an alert."""

_CENTS: Final = 2


def answers(
    outputs: Tensors,
    profiles: Sequence[Profile],
    requests: Sequence[ScoreRequest],
    catalogue: Catalogue,
    stamp: ModelStamp,
    currency: str = "GBP",
) -> list[Answer]:
    """One answer for each of B requests, in their order.

    Args:
        outputs: tensors of ``serving.scorer.OUTPUTS`` with B rows.
        profiles: the profiles that the tensors were made from.
        requests: what was asked; ``as_of`` is read.
        catalogue: what can be recommended now.
        stamp: which model answered.
        currency: of the revenue outputs, from the model card.

    Raises:
        BadOutput: a tensor is missing, misshapen, not finite, or out of its range.
    """
    validate(outputs, len(requests))
    as_of = np.fromiter((request.as_of for request in requests), np.int64, len(requests))
    own = read_own_items(profiles, as_of, read_interactions(profiles))
    ranked = candidates(np.asarray(outputs["query"]), own, catalogue)
    churn = np.round(outputs["churn"].astype(np.float64), CHURN_DIGITS).tolist()
    raw = outputs["raw_churn"].astype(np.float64).tolist()
    revenue = np.round(outputs["revenue"].astype(np.float64), _CENTS).tolist()
    return [
        Answer(
            churn=dict(zip(HORIZONS, churn[i], strict=True)),
            raw_churn=dict(zip(HORIZONS, raw[i], strict=True)),
            expected_revenue_180d=revenue[i][0],
            median_revenue_180d=revenue[i][1],
            currency=currency,
            candidates=ranked[i],
            model=stamp,
            catalogue_version=catalogue.version,
        )
        for i in range(len(requests))
    ]


def validate(outputs: Tensors, batch: int) -> None:
    """Check what came back.

    Raises:
        BadOutput: see ``answers``.
    """
    for spec in OUTPUTS:
        array = outputs.get(spec.name)
        if array is None:
            raise BadOutput(f"the model answered without {spec.name}")
        if array.shape != (batch, *spec.shape) or array.dtype != NUMPY_TYPES[spec.dtype]:
            raise BadOutput(
                f"{spec.name} came as {array.dtype}{list(array.shape)}, expected {spec.dtype}{[batch, *spec.shape]}"
            )
        if not np.isfinite(array).all():
            raise BadOutput(f"{spec.name} holds NaN or infinity in row {_first(~np.isfinite(array))}")
    for name in ("churn", "raw_churn"):
        outside = (outputs[name] < 0) | (outputs[name] > 1)
        if outside.any():
            raise BadOutput(f"{name} is no probability in row {_first(outside)}")
    if (outputs["revenue"] < 0).any():
        raise BadOutput(f"revenue is negative in row {_first(outputs['revenue'] < 0)}")


def _first(wrong: npt.NDArray[Any]) -> int:
    return int(np.flatnonzero(wrong.any(axis=1))[0])
