"""What can score a batch, whatever serves it: the interface, the tensors that come back, and what can go wrong.

``serving.client`` (Triton) and ``serving.in_process`` (onnxruntime) implement it; the decisions worker calls it and
turns the errors into a fallback.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from serving.item_tower import ITEM_DIMENSIONS
from serving.model_card import HORIZONS_DAYS
from stream.contracts.scores import FallbackReason, ModelStamp

Tensors = Mapping[str, npt.NDArray[Any]]


class TensorSpec(NamedTuple):
    """Name, type and shape of one row of a tensor; dimension 0, the batch, is not in the shape."""

    name: str
    dtype: Literal["FP32", "INT32"]
    shape: tuple[int, ...]


OUTPUTS: Final = (
    TensorSpec("churn", "FP32", (len(HORIZONS_DAYS),)),
    TensorSpec("raw_churn", "FP32", (len(HORIZONS_DAYS),)),
    TensorSpec("revenue", "FP32", (2,)),
    TensorSpec("query", "FP32", (ITEM_DIMENSIONS,)),
)
"""Calibrated and raw probability of no purchase within each horizon; mean and median of 180 days' revenue; retrieval
query."""

NUMPY_TYPES: Final = {"FP32": np.dtype(np.float32), "INT32": np.dtype(np.int32)}


class ScorerUnavailable(Exception):
    """No answer came: the server is gone, refuses, or serves another model. ``reason`` goes on the fallback's
    answer."""

    reason: FallbackReason = "unavailable"


class ScorerTimeout(ScorerUnavailable):
    """No answer came in time; one that comes later is void."""

    reason: FallbackReason = "timeout"


class ModelMismatch(ScorerUnavailable):
    """The server's model has other tensors or another feature schema than this program makes."""

    reason: FallbackReason = "no_model"


class BadOutput(Exception):
    """An answer came, and cannot be believed: missing or misshapen tensors, NaN, or values out of range."""

    reason: FallbackReason = "bad_output"


class Scorer(Protocol):
    """Scores batches of up to the model's maximum batch size. Several calls may be in flight on one event loop."""

    @property
    def stamp(self) -> ModelStamp:
        """Which model answers."""

    async def ready(self) -> bool:
        """True when a call would be answered; a server that has not loaded the version is told to.

        Raises:
            ModelMismatch: it would be answered by the wrong model.
            ScorerUnavailable: the server is there and cannot load the version, with what it says.
        """

    async def infer(self, tensors: Tensors, timeout_s: float) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, of which dimension 0 is the batch.

        Raises:
            ScorerUnavailable: no answer (``ScorerTimeout`` after ``timeout_s`` seconds).
            BadOutput: an answer without the expected tensors.
        """

    async def close(self) -> None:
        """Give connections and threads back."""
