"""Says whether a dead letter could be put back now: by today's validation, and by what re-driving it would mean.

What a fold finds (lateness apart, from which a re-driven event is exempt) nobody knows before it folds. Nothing is
written here. Called by `redrive.py`, and for one letter by `tidemark dead-letters show` and `edit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from stream.contracts.dead_letters import VALUE_LIMIT, Verdict, redriven_headers
from stream.contracts.emission import Headers, Rejected
from stream.contracts.partitioning import partition_for
from stream.engine.processor import NewerState, Record
from stream.operations.dead_letters.fixes import Fix, FixFailed, Payload, original
from stream.operations.dead_letters.letters import Letter
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event
from stream.workers.decisions import read_request
from stream.workers.erased import Erasures

CAUSE_ELSEWHERE: Final = frozenset({"fold_error", "stage_error", "too_large", "quarantined"})
"""Codes whose cause lies in code, settings or a state: validation cannot see whether it is still there."""


class NotRedrivable(Exception):
    """A letter that cannot be put back as it would be now.

    Attributes:
        code: why: a code of the table "Bad input", or one of ``foreign``, ``timer``, ``cut``, ``cause_elsewhere``,
            ``fix_failed``, ``other_topic``, ``outdated``, ``erased``.
        message: what is wrong and what to do.
        field: path of the offending field; empty where none is to blame.
    """

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class Redriven(NamedTuple):
    """The record that puts a letter back."""

    topic: str
    """Physical name."""
    partition: int
    key: bytes
    value: bytes
    headers: Headers


class Judge:
    """Judges letters of one deployment.

    Args:
        events: physical name of the events topic.
        score_requests: that of the score requests.
        partitions: how many each of them has, by physical name.
        settings: of today.
        erasures: whoever was erased gets nothing back that is older.
    """

    def __init__(
        self,
        events: str,
        score_requests: str,
        partitions: Mapping[str, int],
        settings: ProfileSettings,
        erasures: Erasures | None = None,
    ) -> None:
        self._events = events
        self._score_requests = score_requests
        self._partitions = partitions
        self._settings = settings
        self._erasures = erasures or Erasures()

    def judge(self, letter: Letter, fix: Fix, now: int, named: bool) -> Redriven:
        """The record that would put ``letter`` back.

        Args:
            fix: what is changed of it before.
            now: when the broker would append it, epoch milliseconds.
            named: somebody asked for this letter, or for letters with its code: whoever did knows that a cause which
                nobody can see here is put right.

        Raises:
            NotRedrivable: with what to do.
        """
        verdict = _of_tidemark(letter)
        if letter.code in CAUSE_ELSEWHERE and not named:
            raise NotRedrivable(
                "cause_elsewhere",
                f"its cause does not lie in the record ({letter.code}): put that right, then name it with --code "
                f"{letter.code}",
            )
        try:
            payload = fix.apply(letter)
        except FixFailed as error:
            raise NotRedrivable("fix_failed", f"the fix does not fit: {error}") from error
        topic = verdict.origin.topic
        try:
            if topic == self._events:
                key = self._event(payload, now)
            elif topic == self._score_requests:
                key = self._request(letter, payload, now)
            else:
                raise NotRedrivable("other_topic", f"it comes from {topic}, which this deployment does not read")
        except Rejected as refused:
            raise NotRedrivable(refused.code, refused.message, refused.field) from refused
        remembered = self._erasures.of(key)
        if remembered is not None and verdict.timestamp <= remembered.erasure.erased_at:
            raise NotRedrivable("erased", "its customer was erased since, and it is older than that: discard it")
        value = payload.value or b""
        if len(key) + len(value) > VALUE_LIMIT:
            raise NotRedrivable("too_large", f"{len(value)} bytes: what is put back may have 900 KiB; split the event")
        headers = redriven_headers(verdict._replace(headers=payload.headers))
        return Redriven(topic, partition_for(key, self._partitions[topic]), key, value, headers)

    def refusal(self, letter: Letter, fix: Fix, now: int) -> NotRedrivable | None:
        """Why a letter that somebody asked for could not be put back; None where it could."""
        try:
            self.judge(letter, fix, now, named=True)
        except NotRedrivable as refused:
            return refused
        return None

    def _event(self, payload: Payload, now: int) -> bytes:
        key, value, headers = payload
        event = read_event(value, key, headers, now, self._settings)
        if event.type == "tick" or key is None:
            raise NotRedrivable("outdated", "a tick moves time on, and time went on without it: discard it")
        return key

    def _request(self, letter: Letter, payload: Payload, now: int) -> bytes:
        key, value, headers = payload
        if payload != original(letter):
            raise NotRedrivable("fix_failed", "Tidemark wrote this request itself: it is put back as it is, or not")
        try:
            request = read_request(Record(self._score_requests, 0, 0, now, key, value, headers)).payload.request
        except NewerState as error:
            raise NotRedrivable("wrong_shape", str(error)) from error
        takes_away = request.kind == "erase" or (
            request.kind == "consent" and not (request.personalization and request.marketing)
        )
        if key is None or not takes_away:
            # Its profile would bring back what the customer allowed then, and an older prediction over a newer one.
            raise NotRedrivable(
                "outdated",
                f"a request of kind {request.kind} holds the customer of then: the next event asks anew; discard it",
            )
        return key


def _of_tidemark(letter: Letter) -> Verdict:
    """The verdict of a letter that holds a whole record."""
    verdict = letter.verdict
    if verdict is None:
        raise NotRedrivable("foreign", "not a dead letter of Tidemark: discard it")
    if letter.timer:
        raise NotRedrivable(
            "timer",
            "no record was refused, but a timer or signal of the customer: the next event sets a new one; discard it",
        )
    if letter.cut:
        whole = verdict.original_length
        size = f"{whole:,} bytes" if whole is not None else "a key of more than 16 KiB"
        raise NotRedrivable("cut", f"only the beginning was kept, of {size}: send it again from its source, in parts")
    return verdict
