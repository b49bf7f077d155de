"""Deliveries by HTTP: one signed POST an attempt, and what the answer means.

Nothing is sent to an address that is not public unless it is allowed, neither directly nor by way of a redirect or of
a name that is resolved anew. Retries are not this module's business. Called by ``posting.py``.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from importlib.metadata import version
from ipaddress import ip_address
from typing import Final

import aiohttp
from yarl import URL

from stream.operations.subscriptions.addresses import ForbiddenAddress, public_socket
from stream.operations.subscriptions.backoff import retry_after_s
from stream.operations.subscriptions.outcomes import Delivery, Outcome
from stream.operations.subscriptions.signing import Signer

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
"""Structured mode of the HTTP binding of CloudEvents 1.0."""

REDIRECTS: Final = 3
_FOLLOWED: Final = (307, 308)
"""The others let a client repeat the request as a GET, without what it carries."""
_MAY_BE_TAKEN_LATER: Final = (408, 425, 429)
_GONE: Final = 410
_ANSWER_BYTES: Final = 16 * 1024
"""Read of an answer; a connection whose answer is longer is not used again."""
_SHOWN: Final = 200


class UnusableTarget(ValueError):
    """A URL that nothing may be sent to."""


class HttpSink:
    """Posts to one endpoint. Made and used within one event loop.

    Args:
        target: of the endpoint.
        signer: signs every attempt.
        timeout_s: of an attempt, from the resolution of the name to the end of the answer, redirects included; seconds.
        allow_private: whether plain HTTP and addresses that are not public are allowed.
        connections: at most.

    Raises:
        UnusableTarget: not a URL of HTTP, or one that is not allowed.
    """

    def __init__(self, target: str, signer: Signer, *, timeout_s: float, allow_private: bool, connections: int) -> None:
        self._target = checked(target, allow_private)
        self._signer = signer
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, socket_factory=None if allow_private else public_socket, ttl_dns_cache=10
            ),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # A proxy from the environment would connect for us, to addresses that nobody has looked at.
            trust_env=False,
            headers={"User-Agent": f"tidemark/{version('tidemark')}", "Content-Type": CONTENT_TYPE},
        )

    async def send(self, delivery: Delivery) -> Outcome:
        """One attempt, redirects included."""
        headers = self._signer.headers(delivery.id, int(time.time()), delivery.body)
        target = self._target
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(REDIRECTS + 1):
                    async with self._session.post(
                        target, data=delivery.body, headers=headers, allow_redirects=False
                    ) as answer:
                        shown = await _beginning(answer)
                        if answer.status not in _FOLLOWED or "Location" not in answer.headers:
                            return _outcome(answer, shown)
                        target = checked(_joined(target, answer.headers["Location"]), self._allow_private)
        except (UnusableTarget, aiohttp.InvalidURL) as error:
            return Outcome("refused", f"redirected to where nothing may be sent: {error}")
        except TimeoutError:
            return Outcome("again", f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, ForbiddenAddress):
                return Outcome("forbidden", f"{target.host}: {error.__cause__}")
            return Outcome("again", f"{type(error).__name__}: {error}")
        return Outcome("refused", f"more than {REDIRECTS} redirects")

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()


def checked(target: str, allow_private: bool) -> URL:
    """The URL, where a webhook may be sent to it as far as that can be seen without resolving its name.

    Raises:
        UnusableTarget: with the reason.
    """
    try:
        url = URL(target)
        host = url.host
    except ValueError as error:
        raise UnusableTarget(f"{target!r} is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not host:
        raise UnusableTarget(f"{target!r} is no URL of HTTP")
    if host.replace(".", "").isdigit() and not _is_address(host):
        raise UnusableTarget(f"{host} is neither a name nor an address as it is usually written")
    if url.user is not None or url.password is not None:
        raise UnusableTarget("a URL with a password in it can be read by everybody on this machine: sign instead")
    if url.scheme == "http" and not allow_private:
        raise UnusableTarget(
            "plain http shows customers to everybody on the way: use https, or allow private endpoints"
        )
    return url


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _joined(target: URL, location: str) -> str:
    """Where a redirect leads, which may name a path alone."""
    try:
        return str(target.join(URL(location)))
    except ValueError:
        return location


def _outcome(answer: aiohttp.ClientResponse, shown: str) -> Outcome:
    detail = f"{answer.status} {answer.reason or ''}".strip() + (f": {shown}" if shown else "")
    status = answer.status
    if 200 <= status < 300:
        return Outcome("taken")
    if status == _GONE:
        return Outcome("gone", detail)
    if status >= 500 or status in _MAY_BE_TAKEN_LATER:
        asked = answer.headers.get("Retry-After") if status in (429, 503) else None
        return Outcome("again", detail, retry_after_s(asked, datetime.now(UTC)))
    return Outcome("refused", detail)


async def _beginning(answer: aiohttp.ClientResponse) -> str:
    """Of the answer's text, on one line; what follows is left unread."""
    read = bytearray()
    async for chunk in answer.content.iter_any():
        read += chunk
        if len(read) > _ANSWER_BYTES:
            break
    return " ".join(bytes(read[:_SHOWN]).decode(errors="replace").split())
