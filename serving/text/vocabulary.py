"""A vocabulary cut to the word pieces that the shop's texts use: most of a small encoder is its word vectors.

Single characters stay, so every word can still be spelt. Called by ``serving.text.student``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.text.tokens import TOKENIZER_FILE, TextTokens

SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""In this order at the start, so that the padding is 0."""

_CONTINUED: Final = "##"


def prune(base: Path, out: Path, texts: Sequence[str], size: int) -> npt.NDArray[np.intp]:
    """Write ``out/tokenizer.json`` with at most ``size`` pieces and return which of the base's they are, in order.

    Raises:
        ValueError: the base's tokenizer is no WordPiece, or ``size`` is too small for the single characters.
    """
    tokenizer = json.loads((base / TOKENIZER_FILE).read_bytes())
    if tokenizer["model"]["type"] != "WordPiece":
        raise ValueError(f"{base} has a {tokenizer['model']['type']} vocabulary: a student needs WordPiece")
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    counts = np.bincount(TextTokens(base, longest=512).pieces(texts).flat, minlength=max(vocabulary.values()) + 1)
    kept = list(SPECIAL)
    kept += [
        piece
        for piece, number in vocabulary.items()
        if len(piece.removeprefix(_CONTINUED)) == 1 and (piece.isascii() or counts[number])
    ]
    if len(kept) > size:
        raise ValueError(f"a vocabulary of {size} cannot hold the {len(kept)} single characters")
    known = set(kept)
    frequent = sorted(vocabulary, key=lambda piece: (-counts[vocabulary[piece]], vocabulary[piece]))
    kept += [piece for piece in frequent if piece not in known and counts[vocabulary[piece]]][: size - len(kept)]
    rows = np.array([vocabulary[piece] for piece in kept], np.intp)
    tokenizer["model"]["vocab"] = {piece: number for number, piece in enumerate(kept)}
    number_of = tokenizer["model"]["vocab"]
    tokenizer["added_tokens"] = [
        token | {"id": number_of[token["content"]]} for token in tokenizer["added_tokens"] if token["content"] in known
    ]
    tokenizer["truncation"] = tokenizer["padding"] = None
    _renumber(tokenizer["post_processor"], number_of)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (out / TOKENIZER_FILE).write_text(text + "\n", encoding="utf-8")
    return rows


def _renumber(processor: dict[str, Any], number_of: dict[str, int]) -> None:
    for name, special in processor.get("special_tokens", {}).items():
        special["ids"] = [number_of[name]]
    for side in ("sep", "cls"):
        if side in processor:
            piece = processor[side][0]
            processor[side] = [piece, number_of[piece]]
