"""Makes the student: cut out of a fine-tuned teacher, then taught by all teachers what they say of the pool.

Its vector learns the base encoder's similarities between texts (Park et al. 2019, relational distillation), for reviews
and for product texts. Called by ``serving.text.train``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from serving.text.fit import Batch, Fitted, Report, Task, fit
from serving.text.network import Student, StudentShape, Teacher, log_sentiments
from serving.text.pool import Pool
from serving.text.reviews import RATINGS, Reviews
from serving.text.settings import StudentSettings
from serving.text.teacher import shuffled
from serving.text.tokens import Pieces, TextTokens, batch
from serving.training.parallel import ALONE, World

_SIMILAR_PER_BATCH = 64
_UNKNOWN = -1


class Lessons(NamedTuple):
    """What the student is taught from."""

    pool: Pool
    opinions: npt.NDArray[np.float32]
    """[texts of the pool, 6]: what the teachers say."""
    similar: list[str]
    """Reviews and product texts whose similarities are taught."""
    vectors: npt.NDArray[np.float16]
    """[similar texts, width]: the base encoder's, of length one."""
    held_out: Reviews


def cut_student(teacher: Teacher, rows: npt.NDArray[np.intp], settings: StudentSettings, longest: int) -> Student:
    """A student with the teacher's word vectors ``rows``, some of its layers, and their strongest neurons."""
    encoder, weights = teacher.encoder, teacher.encoder.state_dict()
    width = int(encoder.config.hidden_size)
    shape = StudentShape(
        vocabulary=len(rows),
        width=width,
        heads=int(encoder.config.num_attention_heads),
        layers=len(settings.layers),
        feed_forward=min(settings.feed_forward, int(encoder.config.intermediate_size)),
        longest=longest,
        vector=settings.vector,
        dropout=settings.dropout,
    )
    student = Student(shape)
    words = weights["embeddings.word_embeddings.weight"].cpu()
    places = weights["embeddings.position_embeddings.weight"].cpu()[:longest]
    state: dict[str, Tensor] = {
        "words.weight": words[torch.from_numpy(rows)],
        # A single text is always of the first type: its vector is part of every place.
        "places.weight": places + weights["embeddings.token_type_embeddings.weight"].cpu()[0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    for number, source in enumerate(settings.layers):
        state |= _layer(weights, f"encoder.layer.{source}.", f"layers.{number}.", shape.feed_forward)
    state |= {f"heads.{name}": tensor for name, tensor in teacher.heads.state_dict().items()}
    state |= {f"vector.{name}": tensor for name, tensor in student.vector.state_dict().items()}
    student.load_state_dict(state)
    return student


def fit_student(
    student: Student,
    lessons: Lessons,
    folder: Path,
    settings: StudentSettings,
    seed: int,
    device: torch.device,
    checkpoint: Path | None,
    report: Report,
    world: World = ALONE,
) -> Fitted:
    """Teach ``student``, whose tokenizer lies in ``folder``; stop early on the sentiments of held-out reviews."""
    tokens = TextTokens(folder, student.shape.longest)
    pieces, similar = tokens.pieces(lessons.pool.texts), tokens.pieces(lessons.similar)
    held = tokens.pieces(lessons.held_out.whole)
    truth = torch.from_numpy(lessons.held_out.sentiments).to(device)
    size, per_round = settings.schedule.batch_size, len(pieces) // settings.variants
    per_epoch = per_round * settings.variants_per_epoch

    def batches(epoch: int, together: World) -> Iterator[Batch]:
        random = np.random.default_rng([seed, epoch])
        drawn = random.choice(len(pieces), per_epoch, replace=False)
        for rows in shuffled(pieces.lengths[drawn], size, random):
            yield _lesson(lessons, pieces, together.part(drawn[rows]), similar, student.shape.longest, random)

    def loss(model: Any, given: Batch, together: World) -> Tensor:
        said = model(given["input_ids"], given["attention_mask"])
        count = len(given["opinions"])
        total = _opinion_loss(said.ratings[:count].float(), said.recommended[:count].float(), given, settings, together)
        vectors = model.text_vector(said.pooled[count:].float())
        # Similarities are of pairs, so every process has all of these texts.
        similarity = similarity_loss(vectors, given["vectors"].float()) / together.size
        return total + settings.vector_weight * similarity

    def held_out(model: Any) -> float:
        made = torch.empty(len(held), 3, device=device)
        for start in range(0, len(held), 512):
            found = batch(held, np.arange(start, min(start + 512, len(held))), student.shape.longest)
            said = model(
                torch.from_numpy(found.input_ids).to(device), torch.from_numpy(found.attention_mask).to(device)
            )
            made[torch.from_numpy(found.rows).to(device)] = log_sentiments(said.ratings.float())
        return float(nn.functional.cross_entropy(made, truth))

    task = Task("student", student, loss, batches, -(-per_epoch // size), held_out)
    student.recomputed = settings.schedule.gradient_checkpointing
    return fit(task, settings.schedule, seed, device, checkpoint, report, world)


class Saved(NamedTuple):
    """A student from a file, and its held-out loss."""

    student: Student
    held_out: float


def save_student(path: Path, student: Student, held_out: float) -> None:
    """Write shape, weights and held-out loss."""
    unfinished = path.with_suffix(".unfinished")
    shape = msgspec.to_builtins(student.shape)
    torch.save({"shape": shape, "weights": student.cpu().state_dict(), "held_out": held_out}, unfinished)
    unfinished.replace(path)


def load_student(path: Path) -> Saved:
    """Read what ``save_student`` wrote."""
    kept = torch.load(path, weights_only=True, map_location="cpu")
    student = Student(msgspec.convert(kept["shape"], StudentShape))
    student.load_state_dict(kept["weights"])
    return Saved(student, float(kept["held_out"]))


def similarity_loss(mine: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared difference of the cosines between all pairs of a batch, as both encoders have them."""
    return ((mine @ mine.T - theirs @ theirs.T) ** 2).mean() * 10.0


def _opinion_loss(
    ratings: Tensor, recommended: Tensor, given: Batch, settings: StudentSettings, world: World
) -> Tensor:
    wanted, true = given["opinions"], given["ratings"]
    soft = -(wanted[:, :RATINGS] * torch.log_softmax(ratings, dim=1)).sum(1)
    hard = nn.functional.cross_entropy(ratings, true, ignore_index=_UNKNOWN, reduction="none")
    weight = settings.hard_weight * (true != _UNKNOWN).float()
    second = nn.functional.binary_cross_entropy_with_logits(recommended, wanted[:, RATINGS], reduction="sum")
    total = ((1 - weight) * soft + weight * hard).sum() + settings.recommended_weight * second
    return total / world.total(torch.ones_like(weight).sum())


def _lesson(
    lessons: Lessons,
    pieces: Pieces,
    rows: npt.NDArray[np.intp],
    similar: Pieces,
    longest: int,
    random: np.random.Generator,
) -> Batch:
    """One batch for both: first the pool's texts, then those whose similarities are taught."""
    others = random.choice(len(similar), min(_SIMILAR_PER_BATCH, len(similar)), replace=False)
    found, further = batch(pieces, rows, longest), batch(similar, others, longest)
    width = max(found.input_ids.shape[1], further.input_ids.shape[1])
    ids, mask = (
        np.concatenate([np.pad(array, ((0, 0), (0, width - array.shape[1]))) for array in both])
        for both in (
            (found.input_ids, further.input_ids),
            (found.attention_mask, further.attention_mask),
        )
    )
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        "opinions": torch.from_numpy(lessons.opinions[rows]),
        "ratings": torch.from_numpy(lessons.pool.ratings[rows]),
        "vectors": torch.from_numpy(lessons.vectors[others]),
    }


def _layer(weights: dict[str, Tensor], source: str, target: str, feed_forward: int) -> dict[str, Tensor]:
    widen, narrow = weights[f"{source}intermediate.dense.weight"], weights[f"{source}output.dense.weight"]
    strength = widen.norm(dim=1) * narrow.norm(dim=0)
    kept = strength.topk(feed_forward).indices.sort().values
    state = {
        f"{target}widen.weight": widen[kept],
        f"{target}widen.bias": weights[f"{source}intermediate.dense.bias"][kept],
        f"{target}narrow.weight": narrow[:, kept],
        f"{target}narrow.bias": weights[f"{source}output.dense.bias"],
    }
    for mine, theirs in (
        ("query", "attention.self.query"),
        ("key", "attention.self.key"),
        ("value", "attention.self.value"),
        ("merge", "attention.output.dense"),
        ("merge_norm", "attention.output.LayerNorm"),
        ("feed_norm", "output.LayerNorm"),
    ):
        state |= {f"{target}{mine}.{part}": weights[f"{source}{theirs}.{part}"] for part in ("weight", "bias")}
    return state
