"""Fine-tunes the encoder on reviews, by one of several methods, and asks the result for its opinion of texts.

Called by ``serving.text.train`` for the teachers of the student and by ``serving.text.ablation`` for the comparison of
methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from serving.text.base import load_encoder
from serving.text.fit import Batch, Fitted, Report, Task, fit, half_precision
from serving.text.network import Opinion, Teacher
from serving.text.reviews import RATINGS, Reviews, shown
from serving.text.settings import Schedule, TeacherSettings
from serving.text.tokens import Pieces, TextTokens, batch
from serving.text.tuning import RATE_FACTORS, prepared
from serving.training.parallel import ALONE, World

OPINIONS: Final = RATINGS + 1
"""Columns of ``opinions``: probability of each rating, and that the product is recommended."""

_ASK_BATCH: Final = 512
_BUCKETED: Final = 20
"""Batches that are sorted by length together."""


class Trained(NamedTuple):
    """A teacher and how its training ended."""

    network: Teacher
    fitted: Fitted
    learned: int
    """Weights that were changed."""


def fit_teacher(
    base: Path,
    training: Reviews,
    held_out: Reviews,
    settings: TeacherSettings,
    longest: int,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Report = lambda what, done, of: None,
    world: World = ALONE,
) -> Trained:
    """Train on ``training``, stop early on ``held_out``."""
    tokens = TextTokens(base, longest)
    torch.manual_seed(seed)
    network = Teacher(prepared(load_encoder(base), settings), settings.dropout)
    learned = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    counts = np.bincount(training.ratings, minlength=RATINGS).clip(min=1)
    weights = (counts.sum() / counts / RATINGS) ** settings.class_balance
    balance = torch.tensor(weights, dtype=torch.float32, device=device)
    size = settings.schedule.batch_size

    def loss(model: Any, given: Batch, together: World) -> Tensor:
        said, ratings = model(given["input_ids"], given["attention_mask"]), given["ratings"]
        recommended = nn.functional.binary_cross_entropy_with_logits(
            said.recommended.float(), given["recommended"], reduction="sum"
        )
        rated = nn.functional.cross_entropy(said.ratings.float(), ratings, weight=balance, reduction="sum")
        texts = together.total(torch.ones_like(balance[ratings]).sum())
        return rated / together.total(balance[ratings].sum()) + settings.recommended_weight * recommended / texts

    def batches(epoch: int, together: World) -> Iterator[Batch]:
        random = np.random.default_rng([seed, epoch])
        pieces = tokens.pieces(shown(training, random))
        for rows in shuffled(pieces.lengths, size, random):
            yield _labelled(pieces, together.part(rows), training, longest)

    def score(model: Any) -> float:
        pieces = tokens.pieces(held_out.whole)
        losses, weight = 0.0, 0
        for start in range(0, len(pieces), _ASK_BATCH):
            rows = np.arange(start, min(start + _ASK_BATCH, len(pieces)))
            given = _labelled(pieces, rows, held_out, longest)
            losses += len(rows) * float(loss(model, {name: tensor.to(device) for name, tensor in given.items()}, ALONE))
            weight += len(rows)
        return losses / max(1, weight)

    steps = -(-len(training.texts) // size)
    task = Task(f"teacher ({settings.method})", network, loss, batches, steps, score)
    return Trained(network, fit(task, _rates(settings), seed, device, checkpoint, report, world), learned)


def opinions(network: Any, tokens: TextTokens, texts: Sequence[str], device: torch.device) -> npt.NDArray[np.float32]:
    """float32[N, 6]: see ``OPINIONS``. ``network`` is a ``Teacher`` or a ``Student``."""
    network = network.to(device).eval()
    made = np.empty((len(texts), OPINIONS), np.float32)
    with torch.no_grad(), half_precision(device):
        for found in tokens.batches(texts, _ASK_BATCH):
            said: Opinion = network(
                torch.from_numpy(found.input_ids).to(device), torch.from_numpy(found.attention_mask).to(device)
            )
            ratings = torch.softmax(said.ratings.float(), dim=1)
            both = torch.cat([ratings, torch.sigmoid(said.recommended.float())[:, None]], dim=1)
            made[found.rows] = both.cpu().numpy()
    return made


def sentiment_probabilities(said: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """float64[N, 3] of negative, neutral, positive from opinions."""
    ratings = said[:, :RATINGS].astype(np.float64)
    return np.stack([ratings[:, :2].sum(1), ratings[:, 2], ratings[:, 3:].sum(1)], axis=1)


def shuffled(lengths: npt.NDArray[np.intp], size: int, random: np.random.Generator) -> list[npt.NDArray[np.intp]]:
    """Rows in random batches of ``size``; within ``_BUCKETED`` batches, similar lengths share one."""
    drawn = random.permutation(len(lengths))
    batches: list[npt.NDArray[np.intp]] = []
    for start in range(0, len(drawn), size * _BUCKETED):
        together = drawn[start : start + size * _BUCKETED]
        together = together[np.argsort(lengths[together], kind="stable")]
        batches.extend(together[at : at + size] for at in range(0, len(together), size))
    return [batches[i] for i in random.permutation(len(batches))]


def _rates(settings: TeacherSettings) -> Schedule:
    factor = RATE_FACTORS[settings.method]
    return msgspec.structs.replace(
        settings.schedule,
        learning_rate=settings.schedule.learning_rate * factor,
        head_factor=settings.schedule.head_factor / factor,
    )


def _labelled(pieces: Pieces, rows: npt.NDArray[np.intp], reviews: Reviews, longest: int) -> Batch:
    found = batch(pieces, rows, longest)
    return {
        "input_ids": torch.from_numpy(found.input_ids),
        "attention_mask": torch.from_numpy(found.attention_mask),
        "ratings": torch.from_numpy(reviews.ratings[rows]),
        "recommended": torch.from_numpy(reviews.recommended[rows].astype(np.float32)),
    }
