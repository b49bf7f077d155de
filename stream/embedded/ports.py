"""Free TCP ports on 127.0.0.1 for the embedded servers, which keep them over restarts."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from stream.embedded.process import StartError

# Below the range from which Linux and macOS take the ports of outgoing connections. A port from that range could be
# lent to somebody's connection while its server restarts.
PORTS = range(20_000, 32_000)
TRIES = 200


def free_ports(count: int) -> list[int]:
    """Choose `count` different ports that nobody listens on now.

    Raises
    ------
    RuntimeError
        If none is found in a few hundred tries.
    """
    chosen = [port for port in random.sample(PORTS, TRIES) if _is_free(port)][:count]
    if len(chosen) < count:
        raise RuntimeError(
            f"of {TRIES} ports tried between {PORTS.start} and {PORTS.stop} only {len(chosen)} were free, {count} are "
            "needed: see which programs listen there"
        )
    return chosen


def require_free(server: str, ports: Iterable[int]) -> None:
    """Raise a StartError if somebody listens on one of a server's ports: it would be taken for the server itself."""
    taken = [port for port in ports if not _is_free(port)]
    if taken:
        raise StartError(
            f"{server} cannot start: 127.0.0.1:{taken[0]} is taken by another program; "
            "end that program or give another port"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers bind: a port that only waits out an old connection counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
