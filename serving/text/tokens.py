"""Texts to word pieces: arrays of equal length for the encoder, in batches of similar length.

Uses the ``tokenizers`` library and the ``tokenizer.json`` beside the model; called by the runtime and by training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

TOKENIZER_FILE: Final = "tokenizer.json"
_BUCKET: Final = 16
"""Lengths are rounded up to a multiple: few shapes to allocate for, and calls of one shape can be batched."""


class Pieces(NamedTuple):
    """Word pieces of N texts, one text after the other."""

    flat: npt.NDArray[np.int32]
    starts: npt.NDArray[np.intp]
    lengths: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.lengths)


class TokenBatch(NamedTuple):
    """B texts of at most L word pieces."""

    rows: npt.NDArray[np.intp]
    """Which of the given texts these are."""
    input_ids: npt.NDArray[np.int64]
    """[B, L]; 0 where a text has ended."""
    attention_mask: npt.NDArray[np.int64]
    """[B, L]; 1 where there is a word piece."""


class TextTokens:
    """A tokenizer that cuts texts at ``longest`` word pieces.

    Raises:
        FileNotFoundError: the folder has no ``tokenizer.json``.
    """

    def __init__(self, folder: Path, longest: int) -> None:
        path = folder / TOKENIZER_FILE
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no {TOKENIZER_FILE}: it is no folder of a text encoder")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        self.longest = longest

    def pieces(self, texts: Sequence[str]) -> Pieces:
        """Word pieces of each text, with its opening and closing one."""
        found = [np.array(each.ids, np.int32) for each in self._tokenizer.encode_batch_fast(list(texts))]
        lengths = np.fromiter(map(len, found), np.intp, len(found))
        flat = np.concatenate(found) if found else np.empty(0, np.int32)
        return Pieces(flat, np.cumsum(lengths) - lengths, lengths)

    def piece_id(self, piece: str) -> int:
        """Number of a word piece.

        Raises:
            KeyError: the vocabulary lacks it.
        """
        found = self._tokenizer.token_to_id(piece)
        if found is None:
            raise KeyError(f"the vocabulary has no {piece}")
        return int(found)

    def batches(self, texts: Sequence[str], size: int) -> Iterator[TokenBatch]:
        """Every text once, similar lengths together."""
        pieces = self.pieces(texts)
        order = np.argsort(pieces.lengths, kind="stable")
        for start in range(0, len(order), size):
            yield batch(pieces, order[start : start + size], self.longest)


def batch(pieces: Pieces, rows: npt.NDArray[np.intp], longest: int) -> TokenBatch:
    """The texts of ``rows``, padded to the longest among them."""
    lengths = pieces.lengths[rows]
    width = min(longest, -(-int(lengths.max(initial=1)) // _BUCKET) * _BUCKET)
    places = np.arange(width)
    mask = places < lengths[:, None]
    at = np.minimum(pieces.starts[rows][:, None] + places, len(pieces.flat) - 1)
    return TokenBatch(rows, np.where(mask, pieces.flat[at], 0).astype(np.int64), mask.astype(np.int64))
