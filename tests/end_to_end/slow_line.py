"""A slow line to the model server: a gRPC relay that hands calls on to a real Triton and keeps each answer back.

Some answers are kept back for longer than any deadline, and those are forged, so that one which was applied all the
same would be seen. Used by ``test_order.py``.
"""

import asyncio
import threading
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

FORGED_CHURN: Final = 0.111
INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
_START_S: Final = 10.0
_RECONNECTS: Final = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
"""A server that comes back is found at once, not after two minutes."""


class SlowLine:
    """Relays to ``target`` for the length of a ``with`` block, on an event loop in its own thread.

    Args:
        target: ``host:port`` of Triton's gRPC endpoint.
        longest_ms: an answer is kept back for 0 to so many milliseconds.
        late_share, late_ms: share of the answers that are forged, and how long those are kept back.

    Attributes:
        url: ``host:port`` to call instead of ``target``.
        begun, ended: numbers of the calls, in the order in which they came and in which they were answered.
        late: how many answers were forged.
    """

    def __init__(self, target: str, seed: int, longest_ms: float, late_share: float, late_ms: float) -> None:
        self.url = ""
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.late = 0
        self._target = target
        self._draw = Random(f"slow line:{seed}")
        self._longest_s = longest_ms / 1000
        self._late_share = late_share
        self._late_s = late_ms / 1000
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: grpc.aio.Server | None = None
        self._channel: grpc.aio.Channel | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)

    async def _start(self) -> None:
        self._channel = grpc.aio.insecure_channel(self._target, options=_RECONNECTS)
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers([_AnyCall(self)])
        self.url = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    async def _stop(self) -> None:
        if self._server is not None and self._channel is not None:
            await self._server.stop(None)
            await self._channel.close()

    async def relay(self, method: str, request: bytes) -> bytes:
        """The server's answer, kept back where it is one to a question."""
        assert self._channel is not None
        if method != INFER:
            return bytes(await self._channel.unary_unary(method)(request))
        number = len(self.begun)
        self.begun.append(number)
        late = self._draw.random() < self._late_share
        delay_s = self._late_s if late else self._draw.uniform(0, self._longest_s)
        answer = bytes(await self._channel.unary_unary(method)(request))
        if late:
            self.late += 1
            answer = _forged(answer)
        await self.keep_back(delay_s * 1000)
        self.ended.append(number)
        return answer

    async def keep_back(self, milliseconds: float) -> None:
        """Wait before an answer goes on."""
        await asyncio.sleep(milliseconds / 1000)


class _AnyCall(grpc.GenericRpcHandler):
    """Takes every unary call as bytes."""

    def __init__(self, line: SlowLine) -> None:
        self._line = line

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        async def behaviour(request: bytes, context: Any) -> bytes:
            return await self._line.relay(method, request)

        return grpc.unary_unary_rpc_method_handler(behaviour)


def _forged(answer: bytes) -> bytes:
    """The same answer with a churn that no model gives to all horizons and customers."""
    response = service_pb2.ModelInferResponse.FromString(answer)
    for place, output in enumerate(response.outputs):
        if output.name in ("churn", "raw_churn"):
            whole = np.frombuffer(response.raw_output_contents[place], np.float32)
            response.raw_output_contents[place] = np.full_like(whole, FORGED_CHURN).tobytes()
    return bytes(response.SerializeToString())
