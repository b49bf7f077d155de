"""Faults of brokers: killed in mid-transaction, frozen, and with three of them restarted in turn, missing, or relieved
of a transaction's coordination."""

import signal
import time
from typing import Final

from stream.embedded.kafka import EmbeddedKafka
from tests.chaos.brokers import Brokers
from tests.chaos.faults import Site
from tests.chaos.kinds.fault import Fault, Scene
from tests.chaos.read_back import in_sync

_OPEN: Final[tuple[Site, ...]] = ("produced", "offsets_sent", "completing")
_LATEST_COMMIT: Final = 4
_FROZEN_S: Final = 2.0
"""Shorter than the broker's session with its controller: after a longer one an only broker says for a moment that there
are no brokers, and the harness's own clients are lost for good (docs/decisions/0019-faults.md)."""
_LONG_FROZEN_S: Final = 10.0
_DOWN_S: Final = 10.0


class _OfBrokers(Fault):
    """Needs brokers that are the run's own, at least ``fewest`` of them."""

    fewest = 1

    def possible(self, scene: Scene) -> bool:
        return scene.brokers is not None and len(scene.brokers.nodes) >= self.fewest

    def strike(self, scene: Scene) -> str:
        assert scene.brokers is not None
        struck = self.strike_brokers(scene, scene.brokers)
        in_sync(scene.brokers.bootstrap_servers)
        return struck

    def strike_brokers(self, scene: Scene, brokers: Brokers) -> str:
        raise NotImplementedError


class KilledInTransaction(_OfBrokers):
    name = "broker killed"
    what = "a worker is stopped in mid-transaction, a broker dies of SIGKILL, the worker goes on, the broker comes back"

    def strike_brokers(self, scene: Scene, brokers: Brokers) -> str:
        draw, node, member = scene.draw, scene.draw.choice(brokers.nodes), scene.anyone()
        site = draw.choice(_OPEN)
        member.arm("freeze", site, draw.randint(1, _LATEST_COMMIT))
        member.await_frozen()
        node.kill()
        member.signal(signal.SIGCONT)
        time.sleep(draw.uniform(0.0, 2.0))
        node.start()
        return f"{_named(node, brokers)}, {member.instance} at {site}"


class Frozen(_OfBrokers):
    name = "broker frozen"
    what = "SIGSTOP of a broker for two seconds, or of one of three for up to ten: its port accepts, nothing answers"

    def strike_brokers(self, scene: Scene, brokers: Brokers) -> str:
        node = scene.draw.choice(brokers.nodes)
        seconds = scene.draw.uniform(_FROZEN_S, _LONG_FROZEN_S) if len(brokers.nodes) > 1 else _FROZEN_S
        node.pause()
        time.sleep(seconds)
        node.resume()
        return f"{_named(node, brokers)} for {seconds:.0f} s"


class OneDown(_OfBrokers):
    fewest = 3
    name = "one broker down"
    what = "one of three brokers is away for ten seconds, in which the others must go on (min.insync.replicas 2)"

    def strike_brokers(self, scene: Scene, brokers: Brokers) -> str:
        node = scene.draw.choice(brokers.nodes)
        node.kill()
        time.sleep(_DOWN_S)
        node.start()
        return _named(node, brokers)


class Rolling(_OfBrokers):
    fewest = 3
    name = "rolling restart"
    what = "every broker in turn is stopped in order and started again"

    def strike_brokers(self, scene: Scene, brokers: Brokers) -> str:
        for node in brokers.nodes:
            node.restart()
            in_sync(brokers.bootstrap_servers)
        return f"{len(brokers.nodes)} brokers"


class CoordinatorMoved(_OfBrokers):
    fewest = 3
    name = "coordinator moved"
    what = "the broker that coordinates a worker's transactions is stopped, so that another takes over"

    def strike_brokers(self, scene: Scene, brokers: Brokers) -> str:
        member = scene.anyone()
        names = scene.configuration.topics.topic_names()
        transactional_id = f"{names.group(member.role)}.{member.instance}"
        node = brokers.coordinator(transactional_id)
        node.stop()
        moved = brokers.coordinator(transactional_id)
        node.start()
        assert moved is not node
        return f"of {member.instance}, {_named(node, brokers)} to {_named(moved, brokers)}"


def _named(node: EmbeddedKafka, brokers: Brokers) -> str:
    return f"broker {brokers.nodes.index(node) + 1}"


KINDS: Final[tuple[Fault, ...]] = (KilledInTransaction(), Frozen(), OneDown(), Rolling(), CoordinatorMoved())
