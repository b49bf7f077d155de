"""Whether a version can be served at all: made for the features of this program, with the right tensors, answers that
can be believed, and about as quick as the present one.

The same file that Triton would load is run in this process. Called by ``serving.gate.comparison`` before anything is
compared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.answers import validate
from serving.features import FEATURE_SCHEMA, FEATURES
from serving.gate.verdict import Check
from serving.in_process import OnnxScorer
from serving.model_card import ModelCard
from serving.registry import RegisteredVersion
from serving.scorer import OUTPUTS, BadOutput, ScorerUnavailable, Tensors
from stream.profiles.fold import FOLD_VERSION

SLOWER_AT_MOST: Final = 1.5
"""Times that the present version takes: a model that is much slower makes a deadline late that used to be kept."""

ALONE_WITHIN: Final = 1e-5
"""How far a customer's answers may differ between a batch of one and a larger one."""

_ROUNDS: Final = 9
_ALONE: Final = 16


def fitness(
    candidate: RegisteredVersion, present: RegisteredVersion, rows: Mapping[str, npt.NDArray[Any]]
) -> list[Check]:
    """Look at ``candidate`` by itself. What can only be said of a model that opens is left out where it does not.

    Args:
        rows: tensors of ``serving.features.FEATURES``, of real customers.
    """
    checks = [_features(candidate.card), _currency(candidate.card, present.card)]
    if not checks[0].passed:
        return checks
    try:
        scorer = OnnxScorer(candidate.folder, candidate.card)
    except Exception as error:  # onnxruntime's own errors share no base class but this
        return [*checks, Check("opens", False, f"onnxruntime cannot open the network: {error}")]
    checks.append(_tensors(scorer))
    if not checks[-1].passed:
        return checks
    checks.append(_answers(scorer, rows))
    if checks[-1].passed:
        checks.append(_speed(scorer, OnnxScorer(present.folder, present.card), rows))
    return checks


def _features(card: ModelCard) -> Check:
    if card.feature_schema != FEATURE_SCHEMA:
        return Check(
            "features",
            False,
            f"made for feature schema {card.feature_schema}, this program makes {FEATURE_SCHEMA}: train it again, or "
            "use the version of Tidemark that it was made with",
        )
    if card.fold_version != FOLD_VERSION:
        return Check(
            "features",
            False,
            f"trained on profiles of fold version {card.fold_version}, this program folds version {FOLD_VERSION}: "
            "train it again",
        )
    return Check("features", True, f"feature schema {FEATURE_SCHEMA}, fold version {FOLD_VERSION}")


def _currency(card: ModelCard, present: ModelCard) -> Check:
    same = card.currency == present.currency
    return Check(
        "currency",
        same,
        card.currency if same else f"answers in {card.currency}, the present one in {present.currency}",
    )


def _tensors(scorer: OnnxScorer) -> Check:
    for side, expected, found in (("inputs", FEATURES, scorer.inputs()), ("outputs", OUTPUTS, scorer.outputs())):
        wanted = {spec.name: (spec.dtype, spec.shape) for spec in expected}
        if found != wanted:
            wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            return Check("tensors", False, f"{side} are not what is asked: {_told(wrong, wanted, found)}")
    return Check("tensors", True, f"{len(FEATURES)} inputs and {len(OUTPUTS)} outputs as expected")


def _told(names: Sequence[str], wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} is {found.get(name, 'missing')}, expected {wanted.get(name, 'none')}" for name in names)


def _answers(scorer: OnnxScorer, rows: Tensors) -> Check:
    count = len(rows[FEATURES[0].name])
    try:
        together = scorer.run(rows)
        validate(together, count)
        alone = [
            scorer.run({name: array[i : i + 1] for name, array in rows.items()}) for i in range(min(count, _ALONE))
        ]
    except (BadOutput, ScorerUnavailable) as error:
        return Check("answers", False, str(error))
    apart = max(
        float(np.abs(own[spec.name][0] - together[spec.name][i]).max() / max(1.0, float(np.abs(own[spec.name]).max())))
        for i, own in enumerate(alone)
        for spec in OUTPUTS
    )
    if apart > ALONE_WITHIN:
        return Check("answers", False, f"a customer's answer depends on the batch: {apart:.1e} apart")
    churn = together["churn"]
    if (np.diff(churn, axis=1) > ALONE_WITHIN).any():
        return Check("answers", False, "a longer horizon has a greater probability of no order than a shorter one")
    return Check("answers", True, f"finite and in range for {count:,} customers, in a batch as alone")


def _speed(candidate: OnnxScorer, present: OnnxScorer, rows: Tensors) -> Check:
    def seconds(scorer: OnnxScorer) -> float:
        started = time.process_time()
        scorer.run(rows)
        return time.process_time() - started

    # By turns, and the quickest round: what else the machine does slows both alike, and the quickest least.
    rounds = [(seconds(candidate), seconds(present)) for _ in range(_ROUNDS)]
    own, other = (min(column) for column in zip(*rounds, strict=True))
    ratio = own / max(other, 1e-9)
    finding = f"{len(rows[FEATURES[0].name]) / max(own, 1e-9):,.0f} customers a CPU second, {ratio:.2f} times the time"
    return Check("speed", ratio <= SLOWER_AT_MOST, f"{finding} of the present one (at most {SLOWER_AT_MOST})")
