"""Scores batches with onnxruntime in this process, behind the same interface as the Triton client.

For platforms without a Triton server, and for evaluation, where a server would only add a network. It serves the very
file that Triton serves.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
import onnxruntime

from serving.features import FEATURE_SCHEMA, FEATURES
from serving.model_card import MODEL_FILE, ModelCard
from serving.scorer import OUTPUTS, ModelMismatch, ScorerTimeout, ScorerUnavailable, Tensors
from stream.contracts.scores import ModelStamp

TensorShape = tuple[str, tuple[Any, ...]]
"""Type, as ``TensorSpec`` names it, and shape of one row."""

_TYPES: Final = {"tensor(float)": "FP32", "tensor(int32)": "INT32"}


class OnnxScorer:
    """One model, run on threads of its own, so that the event loop is never held.

    Parameters
    ----------
    folder
        Version folder of the model repository.
    card
        Its card.
    threads
        Calls that run at once; each call uses one core.

    Raises:
        ModelMismatch: the model was made for another feature schema.
    """

    def __init__(self, folder: Path, card: ModelCard, *, threads: int = 1) -> None:
        if card.feature_schema != FEATURE_SCHEMA:
            raise ModelMismatch(
                f"{folder} was made for feature schema {card.feature_schema}, this program makes {FEATURE_SCHEMA}: "
                "train the model again, or use the version of Tidemark that it was made with"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._card = card
        self._session = onnxruntime.InferenceSession(
            str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="onnx-scorer")

    @property
    def stamp(self) -> ModelStamp:
        return self._card.stamp

    def inputs(self) -> dict[str, TensorShape]:
        """What the network takes, by name: type and shape of one row."""
        return {node.name: _shape(node) for node in self._session.get_inputs()}

    def outputs(self) -> dict[str, TensorShape]:
        """What the network gives, by name: type and shape of one row."""
        return {node.name: _shape(node) for node in self._session.get_outputs()}

    async def ready(self) -> bool:
        return True

    def run(self, tensors: Tensors) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, computed on the calling thread.

        Raises:
            ScorerUnavailable: onnxruntime refused the tensors.
        """
        names = [spec.name for spec in OUTPUTS]
        try:
            arrays = self._session.run(names, {spec.name: tensors[spec.name] for spec in FEATURES})
        except Exception as error:  # onnxruntime's own errors share no base class but this
            raise ScorerUnavailable(f"onnxruntime refused the batch: {error}") from error
        return dict(zip(names, arrays, strict=True))

    async def infer(self, tensors: Tensors, timeout_s: float) -> dict[str, npt.NDArray[Any]]:
        call = asyncio.get_running_loop().run_in_executor(self._threads, self.run, tensors)
        try:
            return await asyncio.wait_for(call, timeout_s)
        except TimeoutError as error:
            raise ScorerTimeout(f"onnxruntime did not answer within {timeout_s * 1000:.0f} ms") from error

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _shape(node: Any) -> TensorShape:
    return _TYPES.get(node.type, node.type), tuple(node.shape[1:])
