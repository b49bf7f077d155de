"""A window is gone on with by the run that asked for it, and by no other."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from serving.history import read_events
from serving.training.bounds import Bounds
from stream.operations.retrain_kept import GO_ON_WITHIN_S, KEPT_FILE, WINDOW_FILE, Question, Span, keep, kept
from stream.operations.retrain_window import EventsFile, WindowSource
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events

SHOP = shop_events(customers=4, days=60)
FILE = EventsFile("/events.jsonl", 10, 1)
ASKED = Question(
    source=WindowSource(files=(FILE,)), version="1.abc", bounds=Bounds(), profiles=ProfileSettings(currency="EUR")
)


def asked_of(**source: object) -> Question:
    return msgspec.structs.replace(ASKED, source=msgspec.structs.replace(ASKED.source, **source))


def test_the_same_question_goes_on_and_says_what_the_window_spans(tmp_path: Path) -> None:
    assert kept(tmp_path, ASKED) is None
    span = keep(tmp_path, ASKED, SHOP)
    assert kept(tmp_path, ASKED) == span == Span(len(SHOP), "2010-01-08", "2010-02-26")
    assert list(read_events([tmp_path / WINDOW_FILE], ProfileSettings())) == SHOP


@pytest.mark.parametrize(
    "other",
    [
        asked_of(files=()),
        asked_of(files=(FILE, FILE)),
        asked_of(files=(EventsFile(FILE.path, 11, 1),)),
        asked_of(files=(EventsFile(FILE.path, 10, 2),)),
        asked_of(topic="second.events"),
        asked_of(since=1),
        asked_of(until=2),
        msgspec.structs.replace(ASKED, version="2.def"),
        msgspec.structs.replace(ASKED, bounds=Bounds(first_timers_share=1.0)),
        msgspec.structs.replace(ASKED, profiles=ProfileSettings(currency="USD")),
    ],
    ids=["topic", "more_files", "size", "mtime", "other_topic", "since", "until", "version", "bounds", "profiles"],
)
def test_another_question_does_not(other: Question, tmp_path: Path) -> None:
    keep(tmp_path, ASKED, SHOP)
    assert kept(tmp_path, other) is None


def test_a_window_that_is_old_not_whole_or_of_another_release_is_not_gone_on_with(tmp_path: Path) -> None:
    keep(tmp_path, ASKED, SHOP)
    (tmp_path / KEPT_FILE).write_bytes(b'{"question": 1}')
    assert kept(tmp_path, ASKED) is None
    (tmp_path / KEPT_FILE).unlink()
    assert kept(tmp_path, ASKED) is None
    keep(tmp_path, ASKED, SHOP)
    long_ago = time.time() - GO_ON_WITHIN_S - 60
    os.utime(tmp_path / WINDOW_FILE, (long_ago, long_ago))
    assert kept(tmp_path, ASKED) is None


def test_a_file_that_was_written_to_is_another_source(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n")
    before = EventsFile.of(path)
    assert EventsFile.of(path) == before
    path.write_bytes(b"{}\n{}\n")
    assert EventsFile.of(path) != before


def test_a_source_is_named_as_its_user_knows_it() -> None:
    assert str(ASKED.source) == "events.jsonl"
    assert str(WindowSource(topic="crm.events", since=86_400_000)) == "the topic crm.events since 1970-01-02"
