"""Faults of the model server: gone, frozen, slow, answering nonsense, loading its model again."""

import time
from typing import Final

from tritonclient.utils import InferenceServerException

from tests.chaos.kinds.fault import Fault, Scene
from tests.chaos.model import ModelServer, Weather

_SHORT_S: Final = 2.0
_LONG_S: Final = 6.0


class _OfModel(Fault):
    """Needs a model server."""

    def possible(self, scene: Scene) -> bool:
        return scene.model is not None

    def strike(self, scene: Scene) -> str:
        assert scene.model is not None
        revived = scene.model.revive()
        self.strike_model(scene.model, scene.draw.uniform(_SHORT_S, _LONG_S))
        return "Triton had died of itself" if revived else ""

    def strike_model(self, model: ModelServer, seconds: float) -> None:
        """Do it for so long."""
        raise NotImplementedError


class Killed(_OfModel):
    name = "model killed"
    what = "Triton dies of SIGKILL, and comes back"

    def strike_model(self, model: ModelServer, seconds: float) -> None:
        model.triton.kill()
        time.sleep(seconds)
        model.triton.start()


class Frozen(_OfModel):
    name = "model frozen"
    what = "SIGSTOP of Triton: its port accepts, nothing answers"

    def strike_model(self, model: ModelServer, seconds: float) -> None:
        model.triton.pause()
        time.sleep(seconds)
        model.triton.resume()


class Reloaded(_OfModel):
    name = "model reloaded"
    what = "Triton loads the model again while it is asked"

    def strike_model(self, model: ModelServer, seconds: float) -> None:
        try:
            model.reload()
        except InferenceServerException:
            if not model.revive():
                raise


class Weathered(_OfModel):
    """Answers of the real server that are changed on the line."""

    def __init__(self, name: str, what: str, weather: Weather) -> None:
        self.name = name  # type: ignore[misc]
        self.what = what  # type: ignore[misc]
        self._weather = weather

    def strike_model(self, model: ModelServer, seconds: float) -> None:
        model.line.weather = self._weather
        time.sleep(seconds)
        model.line.weather = "fine"


KINDS: Final[tuple[Fault, ...]] = (
    Killed(),
    Frozen(),
    Reloaded(),
    Weathered("model slow", "answers come three seconds late", "slow"),
    Weathered("model says NaN", "probabilities are no numbers", "nan"),
    Weathered("model of another shape", "probabilities come in another shape", "other_shape"),
)
