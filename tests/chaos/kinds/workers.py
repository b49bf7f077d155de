"""Faults of worker processes: killed, stopped, frozen, joining, leaving, without memory, without a disk."""

import resource
import signal
import time
from typing import Final

from tests.chaos.deployment import SESSION_MS, TRANSACTION_MS
from tests.chaos.faults import SITES, Site
from tests.chaos.kinds.fault import Fault, Scene

_LATEST_COMMIT: Final = 4
_PRESSURE: Final = 5
_MIB: Final = 1024 * 1024
_DISK_ROOM: Final = 64 * 1024
_PATIENCE_S: Final = 15.0
_AWAY_S: Final = SESSION_MS / 1000 + 1
"""Long enough for the others to take over."""


class KilledInCommit(Fault):
    """``kill -9`` at one place of a commit."""

    def __init__(self, site: Site) -> None:
        self.name = f"killed: {site.replace('_', ' ')}"  # type: ignore[misc]
        self._site = site

    what = "a worker dies of SIGKILL at this place of a transaction, and starts again"

    def strike(self, scene: Scene) -> str:
        member = scene.anyone()
        member.wanted = False
        member.arm("die", self._site, scene.draw.randint(1, _LATEST_COMMIT))
        member.await_death()
        member.start()
        return member.instance


class Killed(Fault):
    name = "killed at random"
    what = "a worker dies of SIGKILL at a random moment, and starts again"

    def strike(self, scene: Scene) -> str:
        time.sleep(scene.draw.random())
        member = scene.anyone()
        with scene.gone(member):
            pass
        return member.instance


class Away(Fault):
    name = "killed and away"
    what = "a worker dies of SIGKILL and comes back after others have its partitions"

    def strike(self, scene: Scene) -> str:
        member = scene.anyone()
        with scene.gone(member):
            time.sleep(_AWAY_S)
        return member.instance


class Terminated(Fault):
    name = "terminated"
    what = "a worker is stopped with SIGTERM, must end with status 0, and starts again"

    def strike(self, scene: Scene) -> str:
        member = scene.anyone()
        member.stop()
        member.start()
        return member.instance


class Zombie(Fault):
    name = "zombie"
    what = "SIGSTOP for longer than the session time-out, then SIGCONT: it is fenced and recovers by itself"

    def strike(self, scene: Scene) -> str:
        member = scene.anyone()
        member.signal(signal.SIGSTOP)
        try:
            time.sleep(_AWAY_S + scene.draw.random())
        finally:
            member.signal(signal.SIGCONT)
        return member.instance


class ZombieInCommit(Fault):
    name = "zombie in a commit"
    what = "stopped at a place of a transaction until others have its partitions, then SIGCONT: the transaction may end"

    def strike(self, scene: Scene) -> str:
        member, site = scene.anyone(), scene.draw.choice(SITES)
        member.arm("freeze", site, scene.draw.randint(1, _LATEST_COMMIT))
        member.await_frozen()
        # Shorter than the transaction time-out, or longer.
        away_s = scene.draw.choice([_AWAY_S, TRANSACTION_MS / 1000 + 2])
        time.sleep(away_s)
        member.signal(signal.SIGCONT)
        return f"{member.instance} {site}, {away_s:.0f} s"


class JoinAndLeave(Fault):
    name = "join and leave"
    what = "one or two more workers of a role join under load, and leave by SIGTERM or SIGKILL"

    def strike(self, scene: Scene) -> str:
        role, draw = scene.draw.choice(["profiles", "decisions"]), scene.draw
        joined = [scene.recruit(role) for _ in range(draw.randint(1, 2))]
        for member in joined:
            scene.crew.members.append(member)
            member.start()
            time.sleep(draw.uniform(0.5, 3.0))
        for member in joined:
            if draw.random() < 0.5:
                member.await_ready()
                member.stop()
            else:
                member.end()
            scene.crew.members.remove(member)
        return f"{len(joined)} of {role}"


class AllAtOnce(Fault):
    name = "all at once"
    what = "every worker dies of SIGKILL, and all start at the same moment"

    def strike(self, scene: Scene) -> str:
        for member in scene.crew.members:
            member.kill()
        for member in scene.crew.members:
            member.start()
        return f"{len(scene.crew.members)} workers"


class OutOfMemory(Fault):
    name = "out of memory"
    what = "a worker gets no more memory (RLIMIT_DATA) and five times the events; it starts again without the limit"

    def strike(self, scene: Scene) -> str:
        scene.feed.pace *= _PRESSURE
        try:
            return _limited(scene, resource.RLIMIT_DATA, on_disk=False)
        finally:
            scene.feed.pace /= _PRESSURE


class FullDisk(Fault):
    name = "full disk"
    what = "files of a worker with RocksDB cannot grow (RLIMIT_FSIZE), as on a full disk; it ends and starts again"

    def possible(self, scene: Scene) -> bool:
        return any(member.on_disk for member in scene.crew.members)

    def strike(self, scene: Scene) -> str:
        return _limited(scene, resource.RLIMIT_FSIZE, on_disk=True)


def _limited(scene: Scene, which: int, on_disk: bool) -> str:
    """Limit a worker, wait a while for its end, and start it again without the limit."""
    member = scene.anyone(on_disk)
    member.wanted = False
    if on_disk:
        member.limit(which, member.log.stat().st_size + _DISK_ROOM)
    else:
        member.limit(which, int(member.memory_mib("VmData") * _MIB))
    deadline = time.monotonic() + _PATIENCE_S
    while member.alive and time.monotonic() < deadline:
        time.sleep(0.1)
    how = f"ended with {member.await_end()}" if member.alive is False else "went on"
    member.end()
    member.start()
    return f"{member.instance} {how}"


KINDS: Final[tuple[Fault, ...]] = (
    *(KilledInCommit(site) for site in SITES),
    Killed(),
    Away(),
    Terminated(),
    Zombie(),
    ZombieInCommit(),
    JoinAndLeave(),
    AllAtOnce(),
    OutOfMemory(),
    FullDisk(),
)
