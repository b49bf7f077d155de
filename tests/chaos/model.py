"""The model server under test: a real Triton, and a line to it on which answers can be slow or wrong.

Started by the long run; the faults of ``kinds/model.py`` strike it.
"""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
from tritonclient.grpc import InferenceServerClient, service_pb2

from serving.model_card import model_repository
from stream.configuration.settings import TritonSettings
from stream.embedded.triton import EmbeddedTriton
from tests.end_to_end.slow_line import INFER, SlowLine

Weather = Literal["fine", "slow", "nan", "other_shape"]

_SLOW_MS: Final = 3_000.0


class ModelServer:
    """Triton and the line to it, for the length of a ``with`` block.

    Attributes:
        url: ``host:port`` for the workers.
        line: sets what becomes of answers.
        deaths: how often Triton died while nobody struck it.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.deaths = 0
        self.triton = EmbeddedTriton(model_repository(), log_path=folder / "triton.log")
        self.line = FaultyLine(self.triton.grpc_url, seed)
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return self.line.url

    def reload(self) -> None:
        """Load the customer model again, as after a change of its configuration."""
        with InferenceServerClient(self.triton.grpc_url) as client:
            client.load_model(TritonSettings().model)

    def revive(self) -> bool:
        """Start Triton again if it has died. Its Python backend was seen to crash minutes after a model was loaded
        again under load (``boost::interprocess::lock_exception``). True: it had."""
        if self.triton.alive:
            return False
        self.deaths += 1
        self.triton.start()
        return True

    def __enter__(self) -> Self:
        self._stack.enter_context(self.triton)
        self._stack.enter_context(self.line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class FaultyLine(SlowLine):
    """A line on which answers come as they are, too late, as no numbers, or in another shape.

    Attributes:
        weather: of all answers from now on.
    """

    def __init__(self, target: str, seed: int) -> None:
        super().__init__(target, seed, longest_ms=0.0, late_share=0.0, late_ms=_SLOW_MS)
        self.weather: Weather = "fine"

    async def relay(self, method: str, request: bytes) -> bytes:
        answer = await super().relay(method, request)
        if method != INFER or self.weather == "fine":
            return answer
        if self.weather == "slow":
            await self.keep_back(_SLOW_MS)
            return answer
        return _spoilt(answer, self.weather)


def _spoilt(answer: bytes, weather: Weather) -> bytes:
    response: Any = service_pb2.ModelInferResponse.FromString(answer)
    for place, output in enumerate(response.outputs):
        if output.name != "churn":
            continue
        whole = np.frombuffer(response.raw_output_contents[place], np.float32)
        if weather == "nan":
            response.raw_output_contents[place] = np.full_like(whole, np.nan).tobytes()
        else:
            output.shape[:] = [1, *output.shape]
    return bytes(response.SerializeToString())
