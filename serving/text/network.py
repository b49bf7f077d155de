"""The two networks: a fine-tuned encoder of any width (teacher), and the small one that is shipped (student).

The student is written with plain tensor operations, so that it exports to any ONNX runtime and quantises whole. Heads:
five ratings, whether the product is recommended, and a vector. ``serving.text.export`` writes what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from serving.text.reviews import RATINGS

_MASKED: Final = -1e4
"""Added to what is masked: nothing is left after the softmax, and it still holds in fp16."""


class Opinion(NamedTuple):
    """What a network says of B texts."""

    ratings: Tensor
    """float[B, 5]: logits."""
    recommended: Tensor
    """float[B]: logit."""
    pooled: Tensor
    """float[B, width]: mean over the word pieces."""


class Heads(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """Ratings and recommendation from the mean and the maximum over a text's word pieces."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.ratings = nn.Linear(2 * width, RATINGS)
        self.recommended = nn.Linear(2 * width, 1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Opinion:
        kept = mask[:, :, None].to(hidden.dtype)
        mean = (hidden * kept).sum(1) / kept.sum(1).clamp(min=1.0)
        most = (hidden + (1.0 - kept) * _MASKED).amax(1)
        features = self.dropout(torch.cat([mean, most], dim=1))
        return Opinion(self.ratings(features), self.recommended(features)[:, 0], mean)


class Teacher(nn.Module):  # type: ignore[misc]
    """An encoder of the library ``transformers`` with ``Heads``."""

    def __init__(self, encoder: Any, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = Heads(int(encoder.config.hidden_size), dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Opinion:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.heads(hidden, attention_mask)  # type: ignore[no-any-return]


class StudentShape(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to build a student before its weights are loaded."""

    vocabulary: int
    width: int
    heads: int
    layers: int
    feed_forward: int
    longest: int
    vector: int
    dropout: float


class Layer(nn.Module):  # type: ignore[misc]
    """Self-attention and feed-forward, normalised after each as in BERT: float[B, L, width] to the same."""

    def __init__(self, shape: StudentShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.merge = nn.Linear(width, width)
        self.merge_norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, shape.feed_forward)
        self.narrow = nn.Linear(shape.feed_forward, width)
        self.feed_norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        size = width // self.heads
        query, key, value = (
            made(hidden).reshape(batch, length, self.heads, size).transpose(1, 2)
            for made in (self.query, self.key, self.value)
        )
        weights = torch.softmax(query @ key.transpose(2, 3) / size**0.5 + bias, dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        hidden = self.merge_norm(hidden + self.dropout(self.merge(mixed)))
        fed = self.narrow(nn.functional.gelu(self.widen(hidden)))
        return self.feed_norm(hidden + self.dropout(fed))


class Student(nn.Module):  # type: ignore[misc]
    """See the module."""

    def __init__(self, shape: StudentShape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.places = nn.Embedding(shape.longest, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.heads = Heads(shape.width, shape.dropout)
        self.vector = nn.Linear(shape.width, shape.vector)
        self.recomputed = False
        """In training, what happens within a layer is computed again for the gradients instead of kept."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Opinion:
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        return self.read(self.words(input_ids) + self.places(places), attention_mask)

    def read(self, embedded: Tensor, attention_mask: Tensor) -> Opinion:
        """From the sums of word and place vectors, float[B, L, width], to the opinion."""
        hidden = self.norm(embedded)
        bias = ((1.0 - attention_mask.to(hidden.dtype)) * _MASKED)[:, None, None, :]
        recomputed = self.recomputed and self.training
        for layer in self.layers:
            hidden = checkpoint(layer, hidden, bias, use_reentrant=False) if recomputed else layer(hidden, bias)
        return self.heads(hidden, attention_mask)  # type: ignore[no-any-return]

    def text_vector(self, pooled: Tensor) -> Tensor:
        """float[B, vector] of length one."""
        return nn.functional.normalize(self.vector(pooled), dim=1)


def log_sentiments(ratings: Tensor) -> Tensor:
    """float[B, 3]: unnormalised log-probabilities of negative, neutral, positive from the logits of five ratings."""
    return torch.stack(
        [torch.logsumexp(ratings[:, :2], 1), ratings[:, 2], torch.logsumexp(ratings[:, 3:], 1)],
        dim=1,
    )


class RowQuantised(nn.Module):  # type: ignore[misc]
    """An embedding in int8 with a scale per row: a quarter of the bytes, and no outlier spoils other rows."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))

    def forward(self, ids: Tensor) -> Tensor:
        return nn.functional.embedding(ids, self.rows).to(self.scale.dtype) * nn.functional.embedding(ids, self.scale)


class ServedStudent(nn.Module):  # type: ignore[misc]
    """The student as it is exported: calibrated probabilities and the vector.

    Parameters
    ----------
    student
        Fitted.
    slope, offsets
        Calibration: the log-probabilities are multiplied with the slope and the three offsets are added.
    quantised
        Embeddings in int8.
    """

    def __init__(self, student: Student, slope: float, offsets: Sequence[float], *, quantised: bool) -> None:
        super().__init__()
        self.student = student
        self.slope = slope
        self.register_buffer("offsets", torch.tensor(list(offsets), dtype=torch.float32))
        self.words = RowQuantised(student.words.weight.detach()) if quantised else student.words
        self.places = RowQuantised(student.places.weight.detach()) if quantised else student.places

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        opinion = self.student.read(self.words(input_ids) + self.places(places), attention_mask)
        log_probabilities = torch.log_softmax(log_sentiments(opinion.ratings), dim=1)
        calibrated = torch.softmax(log_probabilities * self.slope + self.offsets, dim=1)
        return calibrated, self.student.text_vector(opinion.pooled)
