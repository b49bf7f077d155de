"""A TCP proxy between workers and brokers, which can be cut, held, slowed and made one-way while it runs.

Brokers advertise its ports to the workers that go through it, so that every connection of those does. It copies bytes
and knows nothing of Kafka. Started by ``brokers.py``; the faults of ``kinds/network.py`` turn its taps.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 64 * 1024
_START_S: Final = 10.0
_LINGER_NONE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends a reset instead of an orderly end."""


class Proxy:
    """Relays connections for the length of a ``with`` block, on an event loop in its own thread.

    Args:
        routes: port behind, by port to listen on; all on 127.0.0.1.
    """

    def __init__(self, routes: Mapping[int, int]) -> None:
        self._routes = dict(routes)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxy", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._delay_s = 0.0
        self._there = asyncio.Event()
        self._back = asyncio.Event()

    # -- taps --------------------------------------------------------

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        self._do(self._set, True, 0.0, True, True)
        self._do(self._end_all)

    def reset(self) -> None:
        """End every connection that there is now with a reset."""
        self._do(self._end_all)

    def hold(self, answers_only: bool) -> None:
        """Connections stay and nothing comes through: neither way, or only no answers."""
        self._do(self._set, False, 0.0, answers_only, False)

    def slow(self, seconds: float) -> None:
        """Each piece is on its way for so long."""
        self._do(self._set, False, seconds, True, True)

    def heal(self) -> None:
        """All is well again; what was held arrives."""
        self._do(self._set, False, 0.0, True, True)

    def _do(self, call: Callable[..., None], *arguments: object) -> None:
        async def run() -> None:
            call(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(_START_S)

    def _set(self, refusing: bool, delay_s: float, there: bool, back: bool) -> None:
        self._refusing, self._delay_s = refusing, delay_s
        for tap, is_open in ((self._there, there), (self._back, back)):
            if is_open:
                tap.set()
            else:
                tap.clear()

    def _end_all(self) -> None:
        for writer in [*self._writers]:
            self._reset(writer)

    # -- connections -------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_START_S)
        self.heal()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end_all)
        for server in self._servers:
            self._do(server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)

    async def _start(self) -> None:
        for port, behind in self._routes.items():

            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int = behind) -> None:
                await self._relay(reader, writer, to)

            self._servers.append(await asyncio.start_server(connected, "127.0.0.1", port))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: int) -> None:
        if self._refusing:
            self._reset(writer)
            return
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", behind)
        except OSError:
            self._reset(writer)
            return
        self._writers |= {writer, requests}
        await asyncio.gather(
            self._copy(reader, requests, self._there), self._copy(answers, writer, self._back), return_exceptions=True
        )
        self._writers -= {writer, requests}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                await tap.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                writer.write(piece)
                await writer.drain()
        writer.close()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        writer.transport.abort()
