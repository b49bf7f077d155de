"""How a command ends: what each exit code means, and the one line that an error is.

Called by `app.py` for whatever a command raises, and by commands that end with a code of their own.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of `tidemark`."""

    OK = 0
    PROMISE_BROKEN = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    INPUT = 5
    INSTALL = 6
    INTERNAL = 70


EXIT_CODES = (
    "Exit codes: 0 done; 1 something promised did not happen; 2 wrong usage, configuration or credentials; "
    "3 Kafka or Triton not reachable; 4 topics, state or instance are not what they must be; "
    "5 input cannot be read; 6 something must be installed first; 70 an error in tidemark itself."
)


def end_with(error: Exception, debug: bool) -> Exit:
    """Print ``error`` as one line (with ``debug``, as its trace) and say how to end."""
    error = _explained(error)
    code = exit_code(error)
    if debug:
        traceback.print_exception(error)
    elif code is Exit.INTERNAL:
        name = type(error).__name__
        print(f"tidemark: {name}: {_line(error)} (an error in tidemark: run it again with --debug)", file=sys.stderr)  # noqa: T201
    else:
        print(f"tidemark: {_line(error)}", file=sys.stderr)  # noqa: T201
    return code


@contextmanager
def while_read() -> Iterator[None]:
    """Ends the block quietly when whoever reads standard output has enough, as ``head`` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python still holds for them is written at its end, and must not fail there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_code(error: Exception) -> Exit:
    """The code for what a command raised."""
    for code, kinds in _kinds().items():
        if isinstance(error, kinds):
            return code
    return Exit.INTERNAL


def _explained(error: Exception) -> Exception:
    """An error of Kafka that came through as it is, in words."""
    from confluent_kafka import KafkaException

    from stream.operations.brokers import KafkaUnreachableError, explained

    if isinstance(error, KafkaException):
        sentence = explained(error)
    elif isinstance(error, TimeoutError) and not str(error):
        # A future of an AdminClient.
        sentence = KafkaUnreachableError("Kafka does not answer in time: run it again when it does")
    else:
        return error
    sentence.__cause__ = error
    return sentence


def _kinds() -> dict[Exit, tuple[type[BaseException], ...]]:
    # Imported here: the classes come with their libraries, which a command that succeeds may never need.
    from serving.evaluation.canary import CanaryMoved
    from serving.evaluation.predictions import DifferentCutoffs, UnreadablePredictions
    from serving.gate.scored import NothingToCompare
    from serving.history import UnreadableEvents
    from serving.model_card import UnknownLevels
    from serving.refresh import RefreshRefused
    from serving.registry import UnknownVersion, UnusableVersion
    from serving.scorer import ScorerUnavailable
    from serving.training.bounds import WindowRefused
    from serving.training.enough import TooLittleHistory
    from serving.training.settings import UnusableSettings
    from stream.configuration.resolve import ConfigurationError
    from stream.decisions.policy_history import PoliciesUnreadable
    from stream.embedded.cache import InstallError
    from stream.embedded.process import StartError
    from stream.engine.clients import FixedProperty
    from stream.engine.cluster import ClusterUnreachable, FoldChanged, TopicMismatch
    from stream.engine.commits import DeadLetterRefused
    from stream.engine.contact import ConsumerLost
    from stream.engine.fencing import WorkerFenced
    from stream.engine.instance import InstanceTaken, InvalidInstance
    from stream.engine.processor import NewerState
    from stream.engine.restore import StateLost
    from stream.engine.stores.rocks import StoreFailed
    from stream.operations.brokers import AccessError, KafkaUnreachableError, MissingTopicError
    from stream.operations.campaigns.reading import NothingRaised
    from stream.operations.catalogue_items import CatalogueFileError
    from stream.operations.convert import ConversionError
    from stream.operations.dead_letters.exported import ExportError
    from stream.operations.dead_letters.expressions import InvalidExpression
    from stream.operations.dead_letters.filters import InvalidFilter
    from stream.operations.dead_letters.json_patch import InvalidPatch
    from stream.operations.dead_letters.settling import SettlingStopped
    from stream.operations.dead_letters.survey import LetterNotFound
    from stream.operations.demo import DemoError
    from stream.operations.erasing.erase import ErasureUnfinished
    from stream.operations.erasing.report import NotErased
    from stream.operations.evaluate import NothingToEvaluate, OtherFeatures
    from stream.operations.history.explaining import NothingKnown
    from stream.operations.history.states import OffsetOutOfRange
    from stream.operations.history.verifying import NoSuchPartition
    from stream.operations.ingest import IngestError
    from stream.operations.names import UnknownTopicError
    from stream.operations.policies import NotApplied
    from stream.operations.promotion import NotPromoted
    from stream.operations.repairs.hold import RepairRefused
    from stream.operations.replays.begin import ReplayRefused
    from stream.operations.replays.drop import ReplayBusy
    from stream.operations.replays.record import UnknownReplay
    from stream.operations.replays.window import NotComparable
    from stream.operations.rows import MappingError
    from stream.operations.sources import SourceError
    from stream.operations.subscriptions.endpoint import EndpointRefuses
    from stream.operations.subscriptions.intake import AlertsLost, NoPosition
    from stream.operations.subscriptions.subscribe import UnusableWish
    from stream.operations.topics import TopicMismatchError

    usage = (
        ConfigurationError,
        AccessError,
        UnknownTopicError,
        UnknownLevels,
        UnknownVersion,
        UnusableSettings,
        MappingError,
        FixedProperty,
        InvalidInstance,
        UnknownReplay,
        ReplayRefused,
        InvalidFilter,
        InvalidPatch,
        InvalidExpression,
        LetterNotFound,
        OffsetOutOfRange,
        NoSuchPartition,
        NoPosition,
        UnusableWish,
    )
    refused = (
        DifferentCutoffs,
        OtherFeatures,
        WindowRefused,
        CanaryMoved,
        MissingTopicError,
        TopicMismatchError,
        TopicMismatch,
        StateLost,
        FoldChanged,
        NewerState,
        WorkerFenced,
        StoreFailed,
        InstanceTaken,
        DeadLetterRefused,
        NotApplied,
        NotPromoted,
        PoliciesUnreadable,
        RefreshRefused,
        NotComparable,
        ReplayBusy,
        RepairRefused,
        AlertsLost,
        EndpointRefuses,
    )
    unreadable = (
        ConversionError,
        ExportError,
        SourceError,
        CatalogueFileError,
        UnreadableEvents,
        UnusableVersion,
        NothingToCompare,
        NothingToEvaluate,
        NothingKnown,
        NothingRaised,
        NotErased,
        UnreadablePredictions,
        TooLittleHistory,
        FileNotFoundError,
    )
    unreachable = (
        KafkaUnreachableError,
        ClusterUnreachable,
        IngestError,
        SettlingStopped,
        StartError,
        ErasureUnfinished,
        ScorerUnavailable,
        ConsumerLost,
        TimeoutError,
    )
    return {
        Exit.PROMISE_BROKEN: (DemoError,),
        Exit.USAGE: usage,
        Exit.REFUSED: refused,
        Exit.INPUT: (*unreadable, IsADirectoryError, NotADirectoryError, PermissionError),
        Exit.INSTALL: (InstallError,),
        Exit.UNREACHABLE: unreachable,
    }


def _line(error: Exception) -> str:
    about_file = _about_file(error) if isinstance(error, OSError) else ""
    lines = (about_file or str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1].strip()}"


_OF_PYARROW = re.compile(r"local file '(.+?)'")
"""It names the file within its message alone."""


def _about_file(error: OSError) -> str:
    """What the system says of a file, in words; empty where the error names none or says enough itself."""
    named = error.filename or next(iter(_OF_PYARROW.findall(error.strerror or "")), None)
    if error.errno is None or not isinstance(named, str | bytes):
        return ""
    path = Path(os.fsdecode(named))
    if error.errno == errno.ENOENT and not path.parent.exists():
        # What is about to be written is not there either: it is its folder that is missing.
        path = path.parent
    return f"{path} {_FILE_TROUBLE[error.errno]}" if error.errno in _FILE_TROUBLE else ""


_FILE_TROUBLE = {
    errno.ENOENT: "does not exist: check the path",
    errno.EISDIR: "is a folder: give a file",
    errno.ENOTDIR: "cannot be reached: one of its folders is a file; check the path",
    errno.EACCES: "cannot be opened: permission denied",
    errno.EPERM: "cannot be opened: permission denied",
}
