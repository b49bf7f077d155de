"""Scores batches on a Triton inference server over gRPC, with one shared asynchronous client.

It checks that the server's model is the one this program was made for, and maps every failure to the errors of
``serving.scorer``. Batching across calls is the server's work; retries and the circuit breaker are the worker's.

A call that is not answered in time is left alone, not cancelled: cancelled calls can crash a Triton as new as 25.01
(its issues 7368 and 8034), and there are many just when it is slow or has come back from a stop. The server drops by
itself what has waited too long in its queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import numpy.typing as npt
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from serving.features import FEATURES
from serving.model_card import ModelCard
from serving.scorer import OUTPUTS, BadOutput, ModelMismatch, ScorerTimeout, ScorerUnavailable, Tensors, TensorSpec
from stream.contracts.scores import ModelStamp

T = TypeVar("T")

FEATURE_SCHEMA_PARAMETER: Final = "feature_schema"
"""Parameter of ``config.pbtxt`` that names the feature schema of the model served."""

_LOADED_WITHIN_S: Final = 60.0
_GRACE_S: Final = 0.005
"""An event loop that was busy with other batches finds answer and deadline at once: so long it looks for the answer."""
_LOST_AFTER_S: Final = 600.0
"""When gRPC gives up on a call that nobody waits for: only for those that are lost for good."""
_CLOSING_S: Final = 1.0
_DROPPED: Final = "Request timeout expired"
"""What Triton says, under the status of a server that is not there, of a call that was too long in its queue."""
_TIMEOUTS: Final = frozenset({"StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED"})


class TritonScorer:
    """One model on one server.

    Parameters
    ----------
    url
        ``host:port`` of the server's gRPC endpoint.
    card
        The card of the model that is expected there.
    ready_timeout_s
        Seconds after which a server that does not answer ``ready`` counts as not ready.
    """

    def __init__(self, url: str, card: ModelCard, *, ready_timeout_s: float = 1.0) -> None:
        self.url = url
        self._card = card
        self._ready_timeout_s = ready_timeout_s
        self._client: InferenceServerClient | None = None
        self._calls: set[asyncio.Future[Any]] = set()
        self._outputs = [InferRequestedOutput(spec.name) for spec in OUTPUTS]

    @property
    def stamp(self) -> ModelStamp:
        return self._card.stamp

    def _connected(self) -> InferenceServerClient:
        # gRPC's asyncio channel belongs to the event loop that runs when it is made.
        if self._client is None:
            self._client = InferenceServerClient(self.url)
        return self._client

    async def ready(self) -> bool:
        client, name, version = self._connected(), self._card.name, self._card.repository_version
        try:
            if not await self._within(self._ready_timeout_s, client.is_model_ready(name, version)):
                await self._load()
            metadata = await self._within(self._ready_timeout_s, client.get_model_metadata(name, version))
            config = await self._within(self._ready_timeout_s, client.get_model_config(name, version))
        except (InferenceServerException, TimeoutError, OSError):
            return False
        self._check("input", FEATURES, metadata.inputs)
        self._check("output", OUTPUTS, metadata.outputs)
        served = config.config.parameters[FEATURE_SCHEMA_PARAMETER].string_value
        if served != self._card.feature_schema:
            raise ModelMismatch(
                f"{self.url} serves model {name} with feature schema {served or 'unknown'}, the card has "
                f"{self._card.feature_schema}: give server and workers the same model repository"
            )
        return True

    async def _load(self) -> None:
        """Have the server load what the repository's ``config.pbtxt`` names now. Versions that it has are not touched.

        Raises:
            ScorerUnavailable: with what the server says.
        """
        client, name = self._connected(), self._card.name
        try:
            async with asyncio.timeout(_LOADED_WITHIN_S):
                await client.load_model(name)
                if await client.is_model_ready(name, self._card.repository_version):
                    return
        except TimeoutError as error:
            raise ScorerUnavailable(f"{self.url} did not load model {name} within {_LOADED_WITHIN_S:.0f} s") from error
        except InferenceServerException as error:
            raise ScorerUnavailable(f"{self.url} does not load model {name}: {error.message()}") from error
        raise ScorerUnavailable(
            f"{self.url} does not serve version {self._card.repository_version} of model {name}: its repository has no "
            "such version, or its config.pbtxt does not name it"
        )

    def _check(self, side: str, expected: tuple[TensorSpec, ...], served: Any) -> None:
        wanted = {spec.name: (spec.dtype, (-1, *spec.shape)) for spec in expected}
        found = {tensor.name: (tensor.datatype, tuple(tensor.shape)) for tensor in served}
        if wanted != found:
            raise ModelMismatch(
                f"{self.url} serves model {self._card.name} with {side}s {found}, expected {wanted}: "
                "give server and workers the same model repository"
            )

    async def infer(self, tensors: Tensors, timeout_s: float) -> dict[str, npt.NDArray[Any]]:
        inputs = []
        for spec in FEATURES:
            array = tensors[spec.name]
            tensor = InferInput(spec.name, list(array.shape), spec.dtype)
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        try:
            result = await self._call(inputs, timeout_s)
        except InferenceServerException as error:
            late = error.status() in _TIMEOUTS or _DROPPED in error.message()
            kind = ScorerTimeout if late else ScorerUnavailable
            raise kind(f"{self.url}: {error.message()}") from error
        except OSError as error:
            raise ScorerUnavailable(f"{self.url}: {error}") from error
        outputs = {spec.name: result.as_numpy(spec.name) for spec in OUTPUTS}
        if missing := [name for name, array in outputs.items() if array is None]:
            raise BadOutput(f"{self.url} answered without {', '.join(missing)}")
        return outputs

    async def _call(self, inputs: list[InferInput], timeout_s: float) -> InferResult:
        call = self._connected().infer(
            self._card.name,
            inputs,
            self._card.repository_version,
            self._outputs,
            timeout=int(timeout_s * 1_000_000),
            client_timeout=_LOST_AFTER_S,
        )
        try:
            return await self._within(timeout_s, call)
        except TimeoutError as error:
            raise ScorerTimeout(f"{self.url} did not answer within {timeout_s * 1000:.0f} ms") from error

    async def _within(self, timeout_s: float, call: Coroutine[Any, Any, T]) -> T:
        """What the call gives. Raises ``TimeoutError`` when it takes longer, and leaves it alone then."""
        answer = asyncio.ensure_future(call)
        self._calls.add(answer)
        answer.add_done_callback(self._ended)
        for patience_s in (timeout_s, _GRACE_S):
            done, _ = await asyncio.wait({answer}, timeout=patience_s)
            if done:
                return answer.result()
        raise TimeoutError

    def _ended(self, call: asyncio.Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # Asked for, so that asyncio does not report one that came when nobody waited any more.

    async def close(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls, timeout=_CLOSING_S)
        if self._client is not None:
            await self._client.close()
            self._client = None
