"""Signatures by the Standard Webhooks specification (version 1.0.0, https://www.standardwebhooks.com): ``webhook-id``,
``webhook-timestamp``, ``webhook-signature``.

Pure. Called by ``http.py``; the secrets come from the configuration.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
LEAST_BYTES: Final = 24
MOST_BYTES: Final = 64


class UnusableSecret(ValueError):
    """A secret that does not sign."""


class Signer:
    """Signs with every secret that is in force.

    Args:
        secrets: one or more, separated by white space, newest first: while a receiver changes from one to the other
            both have to sign.

    Raises:
        UnusableSecret: not ``whsec_`` and 24 to 64 bytes in base64.

    >>> signer = Signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """

    def __init__(self, secrets: str) -> None:
        self._keys = [_key(secret) for secret in secrets.split()]
        if not self._keys:
            raise UnusableSecret(f"is empty: {_WANTED}")

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Value of ``webhook-signature``.

        Args:
            timestamp: of the attempt, epoch seconds.
        """
        signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
        macs = (hmac.digest(key, signed, hashlib.sha256) for key in self._keys)
        return " ".join("v1," + base64.b64encode(mac).decode() for mac in macs)

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The three headers."""
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": self.sign(message_id, timestamp, body),
        }


_WANTED: Final = (
    f"it must be {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64, "
    'such as printf "whsec_%s" "$(openssl rand -base64 32)" makes'
)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise UnusableSecret(f"cannot be used: {_WANTED}")
    return key
