"""Adapts the base encoder to the shop's language: masked word pieces of reviews and product texts are guessed.

Gururangan et al. 2020. The result is a folder like the base encoder's, so it takes its place in the configuration.
Called by ``serving.text.train``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from serving.text.base import load_encoder
from serving.text.fit import Batch, Fitted, Report, Task, fit
from serving.text.settings import AdaptationSettings
from serving.text.tokens import TOKENIZER_FILE, Pieces, TextTokens, batch
from serving.text.tuning import recompute_layers
from serving.training.parallel import ALONE, World

_HELD_OUT_SHARE = 0.03
_IGNORED = -100
_MASK_PIECE = "[MASK]"


class MaskedLanguage(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """An encoder that guesses masked word pieces; it reads and writes with the same word vectors."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        width = int(encoder.config.hidden_size)
        self.encoder = encoder
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(int(encoder.config.vocab_size)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, masked: Tensor) -> Tensor:
        """Logits [masked places, vocabulary]."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        words = self.encoder.embeddings.word_embeddings.weight
        return self.transform(hidden[masked]) @ words.T + self.bias


def adapt(
    base: Path,
    out: Path,
    texts: Sequence[str],
    settings: AdaptationSettings,
    longest: int,
    seed: int,
    device: torch.device,
    report: Report,
    world: World = ALONE,
) -> Fitted | None:
    """Write the adapted encoder to ``out``, unless it is there already (then None)."""
    if world.from_first((out / "config.json").is_file):
        return None
    tokens = TextTokens(base, longest)
    pieces = tokens.pieces(texts)
    mask_id = tokens.piece_id(_MASK_PIECE)
    order = np.random.default_rng(seed).permutation(len(pieces))
    held = order[: max(1, round(len(pieces) * _HELD_OUT_SHARE))]
    learned = order[len(held) :]
    size = settings.schedule.batch_size
    torch.manual_seed(seed)
    network = MaskedLanguage(load_encoder(base))
    if settings.schedule.gradient_checkpointing:
        recompute_layers(network.encoder)

    def batches(epoch: int, together: World) -> Iterator[Batch]:
        random = np.random.default_rng([seed, epoch])
        drawn = random.permutation(learned)
        for start in range(0, len(drawn), size):
            rows = drawn[start : start + size]
            whole = _masked(pieces, rows, longest, mask_id, settings.masked_share, random)
            yield {name: together.part(tensor) for name, tensor in whole.items()}

    def loss(model: Any, given: Batch, together: World) -> Tensor:
        places = given["wanted"] != _IGNORED
        said = model(given["input_ids"], given["attention_mask"], places)
        total = nn.functional.cross_entropy(said.float(), given["wanted"][places], reduction="sum")
        return total / together.total(places.sum()).clamp(min=1)

    def held_out(model: Any) -> float:
        random = np.random.default_rng(seed)
        found = [
            _masked(pieces, held[start : start + size], longest, mask_id, settings.masked_share, random)
            for start in range(0, len(held), size)
        ]
        losses = [loss(model, {name: tensor.to(device) for name, tensor in each.items()}, ALONE) for each in found]
        return float(torch.stack(losses).mean())

    task = Task("domain adaptation", network, loss, batches, -(-len(learned) // size), held_out)
    fitted = fit(task, settings.schedule, seed, device, out.with_suffix(".checkpoint"), report, world)

    def write() -> None:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(base / TOKENIZER_FILE, out / TOKENIZER_FILE)
        network.encoder.cpu().save_pretrained(out)

    world.from_first(write)
    return fitted


def _masked(pieces: Pieces, rows: Any, longest: int, mask_id: int, share: float, random: np.random.Generator) -> Batch:
    found = batch(pieces, rows, longest)
    lengths = found.attention_mask.sum(1)
    places = np.arange(found.input_ids.shape[1])
    # The opening and the closing piece are the same in every text: nothing to guess.
    inside = (places > 0) & (places < lengths[:, None] - 1)
    chosen = inside & (random.random(found.input_ids.shape) < share)
    wanted = np.where(chosen, found.input_ids, _IGNORED)
    shown = np.where(chosen & (random.random(chosen.shape) < 0.9), mask_id, found.input_ids)
    return {
        "input_ids": torch.from_numpy(shown),
        "attention_mask": torch.from_numpy(found.attention_mask),
        "wanted": torch.from_numpy(wanted),
    }
