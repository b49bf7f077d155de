"""Dead letters as JSON lines that people mend with tools of their own, and read back as a fix.

The file says how the record is to be; which letter that is, and whether it may be put back, the topic says. Lines are
looked up in the file, so that it may be larger than memory. Called by `tidemark dead-letters export`, `edit` and
`redrive --from`.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec
import orjson

from stream.contracts.emission import Headers
from stream.contracts.settlements import LetterId
from stream.contracts.times import to_rfc3339
from stream.operations.dead_letters.fixes import FixFailed, Payload, original
from stream.operations.dead_letters.letters import Letter, Place

_BASE64: Final = "base64:"
"""Before what is not UTF-8, and before text that begins so itself."""


class ExportError(ValueError):
    """The file holds something else than exported letters; the message says in which line."""


class ExportedLetter(msgspec.Struct, kw_only=True):
    """One line. ``key``, ``headers`` and the value are the record to put back; the rest is for people."""

    letter: str
    """``PARTITION:OFFSET`` on the dead-letter topic."""
    topic_id: str
    """Kafka's id of that topic."""
    code: str
    field: str = ""
    message: str = ""
    origin: str = ""
    refused_at: str = ""
    """RFC 3339."""
    key: str | None = None
    """Text; ``base64:`` and so on where it is not UTF-8."""
    headers: list[tuple[str, str]] = []
    """Name and value, as ``key``."""
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """The payload, where it is JSON."""
    value_text: str | msgspec.UnsetType = msgspec.UNSET
    """The payload, where it is not: as ``key``. A record without a value has neither."""


_decode: Final = msgspec.json.Decoder(ExportedLetter).decode


def exported(letter: Letter, payload: Payload | None = None) -> bytes:
    """The line of a letter, with the record as it was refused or as ``payload`` has it. Ends with a line break."""
    key, value, headers = original(letter) if payload is None else payload
    line = ExportedLetter(
        letter=str(letter.place),
        topic_id=letter.topic_id,
        code=letter.code,
        field=letter.field,
        message=letter.message,
        origin=letter.origin,
        refused_at=to_rfc3339(letter.refused_at),
        key=None if key is None else _text(key),
        headers=[(name, _text(content)) for name, content in headers],
    )
    if value is not None:
        content = _on_one_line(value)
        if content is not None:
            line.value = content
        else:
            line.value_text = _text(value)
    return msgspec.json.encode(line) + b"\n"


class Edited:
    """Fixes by letter, out of a file of exported letters. As a context it holds the file open.

    Raises:
        FileNotFoundError: there is none.
        ExportError: a line is no letter, or two are the same one.
    """

    def __init__(self, path: Path) -> None:
        self.described = path.name
        self._path = path
        self._file: IO[bytes] = path.open("rb")
        try:
            self._places = self._index()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def places(self) -> frozenset[Place]:
        """Where the letters of the file lie."""
        return frozenset(Place(letter.partition, letter.offset) for letter in self._places)

    def apply(self, letter: Letter) -> Payload:
        start = self._places.get(letter.id)
        if start is None:
            raise FixFailed(f"{self._path} has no such letter")
        self._file.seek(start)
        return _payload(_decode(self._file.readline()))

    def _index(self) -> dict[LetterId, int]:
        """Where each letter's line begins."""
        places: dict[LetterId, int] = {}
        start = 0
        for number, text in enumerate(self._file, start=1):
            if text.strip():
                where = f"{self._path}, line {number}"
                try:
                    line = _decode(text)
                    partition, offset = map(int, line.letter.split(":"))
                    _payload(line)
                except (ValueError, msgspec.DecodeError) as error:
                    raise ExportError(f"{where}: no exported dead letter: {error}") from error
                letter = LetterId(line.topic_id, partition, offset)
                if letter in places:
                    raise ExportError(f"{where}: letter {line.letter} stands in the file twice: leave one of them")
                places[letter] = start
            start += len(text)
        return places


def _payload(line: ExportedLetter) -> Payload:
    value: bytes | None = None
    if not isinstance(line.value_text, msgspec.UnsetType):
        value = _bytes(line.value_text)
    elif not isinstance(line.value, msgspec.UnsetType):
        value = bytes(line.value)
    headers: Headers = tuple((name, _bytes(content)) for name, content in line.headers)
    return Payload(None if line.key is None else _bytes(line.key), value, headers)


def _on_one_line(value: bytes) -> msgspec.Raw | None:
    """JSON without line breaks; None where it is none, or nested more deeply than can be read back."""
    try:
        orjson.loads(value)
        return msgspec.Raw(msgspec.json.format(value, indent=-1))
    except (orjson.JSONDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _BASE64 + base64.b64encode(content).decode()
    return _BASE64 + base64.b64encode(content).decode() if text.startswith(_BASE64) else text


def _bytes(text: str) -> bytes:
    if not text.startswith(_BASE64):
        return text.encode()
    try:
        return base64.b64decode(text[len(_BASE64) :], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text[:40]!r} is not base64") from error
