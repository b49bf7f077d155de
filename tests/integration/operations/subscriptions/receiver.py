"""A webhook that misbehaves as it is told, in a process of its own that can be killed and started again on its port.

Every request it answers is a line of JSON in a file, on disk before the answer leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from stream.embedded.ports import free_ports
from stream.operations.subscriptions.signing import Signer
from stream.testing.waiting import eventually

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """How it answers, the first that fits."""

    gone_after: int = -1
    """410 after so many were taken."""
    always: dict[str, int] = {}
    """Status by customer; ``*`` is everybody."""
    busy_every: int = 0
    """429 to every so manieth request, and to all within the time that it asks for."""
    busy_s: int = 1
    http_date: bool = False
    """Whether that is said as a date."""
    failing: float = 0.0
    """Share of requests that end with 500, or with no answer at all."""
    slow_s: float = 0.0
    """Longest time to an answer."""
    redirect: str = ""
    """307 to there."""
    seed: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and what came of it."""

    id: str
    customer: str
    revision: int
    status: int
    signed: bool
    began: float
    """Monotonic seconds."""
    ended: float
    path: str
    body: str


class Receiver:
    """Runs for the length of a ``with`` block."""

    def __init__(self, folder: Path, manners: Manners, port: int = 0) -> None:
        self.port = port or free_ports(1)[0]
        self.log = folder / f"received-{self.port}.jsonl"
        self.url = f"http://127.0.0.1:{self.port}/alerts"
        self.manners = manners

    def start(self, manners: Manners | None = None) -> None:
        self.manners = manners or self.manners
        given = msgspec.json.encode(self.manners).decode()
        self._process = subprocess.Popen([sys.executable, "-m", __name__, str(self.port), str(self.log), given])
        assert eventually(self._listens), "the receiver does not listen"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def seen(self, *statuses: int) -> list[Seen]:
        """Requests in the order of their answers; of these statuses alone where any are given."""
        if not self.log.exists():
            return []
        lines = self.log.read_bytes().split(b"\n")[:-1]
        every = [msgspec.json.decode(line, type=Seen) for line in lines]
        return [each for each in every if not statuses or each.status in statuses]

    def taken(self) -> list[Seen]:
        return self.seen(200)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _listens(self) -> bool:
        import socket

        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class _Answering:
    def __init__(self, log: Path, manners: Manners) -> None:
        self._log = log.open("ab", buffering=0)
        self._manners = manners
        self._chance = random.Random(manners.seed)
        self._signer = Signer(SECRET)
        self._requests = 0
        self._taken = 0
        self._busy_until = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        began, body = time.monotonic(), await request.read()
        event = json.loads(body)
        customer = event["data"]["customer_id"]
        await asyncio.sleep(self._chance.random() * self._manners.slow_s)
        status, headers = self._status(customer)
        seen = Seen(
            id=request.headers["webhook-id"],
            customer=customer,
            revision=event["data"]["revision"],
            status=status,
            signed=self._is_signed(request, body),
            began=began,
            ended=time.monotonic(),
            path=request.path,
            body=body.decode(),
        )
        os.write(self._log.fileno(), msgspec.json.encode(seen) + b"\n")
        if status == 0 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 500, headers=headers, text="so it is")

    def _status(self, customer: str) -> tuple[int, dict[str, str]]:
        manners = self._manners
        self._requests += 1
        if 0 <= manners.gone_after <= self._taken:
            return 410, {}
        if status := manners.always.get(customer, manners.always.get("*", 0)):
            return status, {}
        if manners.redirect and "/alerts" in manners.redirect:
            return 307, {"Location": manners.redirect}
        if manners.busy_every and (self._requests % manners.busy_every == 0 or time.monotonic() < self._busy_until):
            self._busy_until = max(self._busy_until, time.monotonic() + manners.busy_s - 0.2)
            return 429, {"Retry-After": self._when()}
        if self._chance.random() < manners.failing:
            return self._chance.choice((500, 502, 0)), {}
        self._taken += 1
        return 200, {}

    def _when(self) -> str:
        if not self._manners.http_date:
            return str(self._manners.busy_s)
        from email.utils import formatdate

        # Dates have whole seconds: one more, or it may lie in the past.
        return formatdate(time.time() + self._manners.busy_s + 1, usegmt=True)

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        at = request.headers["webhook-timestamp"]
        wanted = self._signer.sign(request.headers["webhook-id"], int(at), body)
        return abs(int(at) - time.time()) < 60 and request.headers["webhook-signature"] == wanted


def main(arguments: Sequence[str]) -> None:
    port, log, manners = arguments
    answering: Any = _Answering(Path(log), msgspec.json.decode(manners, type=Manners))
    app = web.Application()
    app.router.add_post("/{path:.*}", answering.answer)
    web.run_app(app, host="127.0.0.1", port=int(port), print=None, handle_signals=False)


if __name__ == "__main__":
    main(sys.argv[1:])
