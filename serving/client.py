"""Scores batches on a Triton inference server over gRPC, with one shared asynchronous client.

It checks that the server's model is the one this program was made for, and maps every failure to the errors of
``serving.scorer``. Batching across calls is the server's work; retries and the circuit breaker are the worker's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import numpy.typing as npt
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from serving.features import FEATURES
from serving.model_card import ModelCard
from serving.scorer import OUTPUTS, BadOutput, ModelMismatch, ScorerTimeout, ScorerUnavailable, Tensors, TensorSpec
from stream.contracts.scores import ModelStamp

FEATURE_SCHEMA_PARAMETER: Final = "feature_schema"
"""Parameter of ``config.pbtxt`` that names the feature schema of the model served."""

_LOADED_WITHIN_S: Final = 60.0
_LOST_AFTER_S: Final = 1.0
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
            async with asyncio.timeout(self._ready_timeout_s):
                ready = await client.is_model_ready(name, version)
            if not ready:
                await self._load()
            async with asyncio.timeout(self._ready_timeout_s):
                metadata = await client.get_model_metadata(name, version)
                config = await client.get_model_config(name, version)
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
            # gRPC keeps the deadline on threads of its own. A timer of the event loop would also count the time for
            # which the loop was busy with other batches; it only guards against a call that is lost.
            async with asyncio.timeout(timeout_s + _LOST_AFTER_S):
                result = await self._connected().infer(
                    self._card.name,
                    inputs,
                    self._card.repository_version,
                    self._outputs,
                    client_timeout=timeout_s,
                )
        except TimeoutError as error:
            raise ScorerTimeout(f"{self.url} did not answer within {timeout_s * 1000:.0f} ms") from error
        except InferenceServerException as error:
            kind = ScorerTimeout if error.status() in _TIMEOUTS else ScorerUnavailable
            raise kind(f"{self.url}: {error.message()}") from error
        except OSError as error:
            raise ScorerUnavailable(f"{self.url}: {error}") from error
        outputs = {spec.name: result.as_numpy(spec.name) for spec in OUTPUTS}
        if missing := [name for name, array in outputs.items() if array is None]:
            raise BadOutput(f"{self.url} answered without {', '.join(missing)}")
        return outputs

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
