"""Faults of the network between the brokers and those workers that go through the proxy."""

import time
from typing import Final

from tests.chaos.deployment import SESSION_MS
from tests.chaos.kinds.fault import Fault, Scene
from tests.chaos.proxy import Proxy

_SHORT_S: Final = 1.5
_LONG_S: Final = SESSION_MS / 1000 + 2
"""Long enough for the workers on this side to lose their partitions."""
_DELAY_S: Final = 0.15
_RESETS: Final = 5


class _OfNetwork(Fault):
    """Needs the run's own brokers, which stand behind the proxy."""

    def possible(self, scene: Scene) -> bool:
        return scene.brokers is not None

    def strike(self, scene: Scene) -> str:
        assert scene.brokers is not None
        seconds = scene.draw.choice([_SHORT_S, _LONG_S])
        try:
            self.turn(scene.brokers.proxy, seconds)
        finally:
            scene.brokers.proxy.heal()
        return f"{seconds:.1f} s"

    def turn(self, proxy: Proxy, seconds: float) -> None:
        """Do it for so long."""
        raise NotImplementedError


class Cut(_OfNetwork):
    name = "network cut"
    what = "every connection ends, and new ones are refused"

    def turn(self, proxy: Proxy, seconds: float) -> None:
        proxy.cut()
        time.sleep(seconds)


class Silent(_OfNetwork):
    name = "network silent"
    what = "connections stay, and nothing comes through either way"

    def turn(self, proxy: Proxy, seconds: float) -> None:
        proxy.hold(answers_only=False)
        time.sleep(seconds)


class OneWay(_OfNetwork):
    name = "network one-way"
    what = "requests reach the brokers, and no answer comes back"

    def turn(self, proxy: Proxy, seconds: float) -> None:
        proxy.hold(answers_only=True)
        time.sleep(seconds)


class Slow(_OfNetwork):
    name = "network slow"
    what = "each piece is 150 ms on its way"

    def turn(self, proxy: Proxy, seconds: float) -> None:
        proxy.slow(_DELAY_S)
        time.sleep(seconds)


class Resets(_OfNetwork):
    name = "network resets"
    what = "every connection is reset, five times"

    def turn(self, proxy: Proxy, seconds: float) -> None:
        for _ in range(_RESETS):
            proxy.reset()
            time.sleep(seconds / _RESETS)


KINDS: Final[tuple[Fault, ...]] = (Cut(), Silent(), OneWay(), Slow(), Resets())
