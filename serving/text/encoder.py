"""The text encoder at run time: texts in, calibrated sentiments and vectors out, with onnxruntime and tokenizers alone.

It serves the very file that Triton serves. Called by ``stream.operations.sentiment`` and by whatever wants vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from serving.model_card import MODEL_FILE, model_repository, version_folder
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.decision import decide
from serving.text.tokens import TextTokens
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, VECTOR

_BATCH: Final = 32
_CHUNK: Final = 4_096


class Encoded(NamedTuple):
    """N texts."""

    probabilities: npt.NDArray[np.float32]
    """[N, 3]: negative, neutral, positive."""
    vectors: npt.NDArray[np.float32]
    """[N, vector], of length one: the product of two is their similarity."""
    labels: npt.NDArray[np.int64]
    """[N]: index into ``SENTIMENTS``, by the card's offsets."""


class TextEncoder:
    """One version of the text encoder, in this process.

    Parameters
    ----------
    folder
        Version folder of the model repository.
    threads
        Cores that a call uses.

    Raises:
        FileNotFoundError: a file of the version is missing.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.card = read_text_card(folder)
        self._tokens = TextTokens(folder, self.card.longest)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )

    def encode(
        self, texts: Sequence[str], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Encoded:
        """Encode texts of any number; what goes beyond the card's ``longest`` word pieces is not read."""
        probabilities = np.empty((len(texts), 3), np.float32)
        vectors = np.empty((len(texts), self.card.vector), np.float32)
        done = 0
        for start in range(0, len(texts), _CHUNK):
            for batch in self._tokens.batches(texts[start : start + _CHUNK], _BATCH):
                rows = batch.rows + start
                probabilities[rows], vectors[rows] = self._session.run(
                    [PROBABILITIES, VECTOR], {INPUT_IDS: batch.input_ids, ATTENTION_MASK: batch.attention_mask}
                )
                done += len(rows)
                on_progress(done, len(texts))
        return Encoded(probabilities, vectors, self.labels(probabilities))

    def labels(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """int64[N]: index into ``SENTIMENTS``, by the card's offsets."""
        return decide(probabilities, self.card.label_offsets)


def shipped_encoder(repository: Path | None = None, *, threads: int = 1) -> TextEncoder:
    """The newest version of a repository, by default of the one that is installed."""
    return TextEncoder(version_folder(repository or model_repository(), TEXT_MODEL_NAME), threads=threads)
