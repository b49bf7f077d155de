"""Loading events into a real broker: complete, keyed, resumable, without doubles however often it is killed."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.partitioning import partition_for
from stream.operations.brokers import bounds_of, connect_admin, ends_of, make_consumer, partitions_of
from stream.operations.catalogue_items import CatalogueFileError, item_names, load_catalogue
from stream.operations.ingest import IngestError, ingest
from stream.operations.loading import Options, Progress
from stream.operations.sources import Columns, Source, SourceError
from stream.operations.tail import TailedRecord, tail
from stream.testing.waiting import eventually


def event(number: int, **fields: object) -> dict[str, object]:
    usual = {"event_id": f"e{number}", "type": "browse", "time": 1_000 * number, "customer_id": f"c{number % 50}"}
    return {**usual, "items": [{"item_id": f"p{number % 7}", "item_name": f"MUG {number % 7}"}], **fields}


def written(path: Path, events: list[dict[str, object]]) -> Source:
    path.write_text("".join(json.dumps(each) + "\n" for each in events))
    return Source(str(path))


def records(deployment: Configuration, topic: str = logical.EVENTS) -> list[TailedRecord]:
    physical = deployment.topics.topic_names().physical(topic)
    return list(tail(deployment.kafka, physical, from_beginning=True, follow=False))


def appended(deployment: Configuration) -> int:
    """Offsets of the events topic that are taken, uncommitted records and markers of transactions included."""
    consumer = make_consumer(deployment.kafka, "test")
    try:
        places = partitions_of(consumer, [deployment.topics.topic_names().physical(logical.EVENTS)])
        return sum(bounds_of(consumer, place)[1] for place in places)
    finally:
        consumer.close()


def test_every_line_lies_once_on_the_partition_of_its_customer(deployment: Configuration, tmp_path: Path) -> None:
    done = ingest(deployment, written(tmp_path / "e.jsonl", [event(number) for number in range(500)]))
    found = records(deployment)
    assert (done.sent, done.lines, done.total, done.items) == (500, 500, 500, 7)
    assert sorted(json.loads(each.value or b"")["event_id"] for each in found) == sorted(f"e{n}" for n in range(500))
    assert all(each.partition == partition_for(each.key or b"", 3) for each in found)
    assert all(json.loads(each.value or b"")["customer_id"].encode() == each.key for each in found)


def test_a_customers_events_keep_their_order(deployment: Configuration, tmp_path: Path) -> None:
    ingest(deployment, written(tmp_path / "e.jsonl", [event(number) for number in range(500)]))
    of_one = [json.loads(each.value or b"")["time"] for each in records(deployment) if each.key == b"c7"]
    assert of_one == sorted(of_one)


def test_the_same_file_again_adds_nothing_under_any_name(deployment: Configuration, tmp_path: Path) -> None:
    source = written(tmp_path / "e.jsonl", [event(number) for number in range(20)])
    ingest(deployment, source)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(source.path).read_bytes())
    done = ingest(deployment, Source(str(copy)))
    assert (done.sent, done.resumed_at, len(records(deployment))) == (0, 20, 20)
    assert ingest(deployment, source, Options(again=True)).sent == 20


def test_a_load_that_is_killed_again_and_again_ends_without_doubles_or_gaps(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    count = 6_000
    source = written(tmp_path / "e.jsonl", [event(number) for number in range(count)])
    command = [sys.executable, "-m", "stream.cli", "ingest", source.path, "--rate", "2000"]
    draw = random.Random(7)
    for _ in range(4):
        before = appended(deployment)
        load = subprocess.Popen(command, env={**os.environ, **environ}, cwd=tmp_path)
        while load.poll() is None and appended(deployment) < before + draw.randrange(200, 900):
            time.sleep(0.02)
        assert load.poll() is None, "the load was over before it could be killed"
        load.kill()
        load.wait()
    done = ingest(deployment, source)
    found = [json.loads(each.value or b"")["event_id"] for each in records(deployment)]
    assert 0 < done.resumed_at < count
    assert sorted(found) == sorted(f"e{number}" for number in range(count))


def test_events_without_an_id_get_the_same_one_every_time(deployment: Configuration, tmp_path: Path) -> None:
    source = written(tmp_path / "e.jsonl", [event(number, event_id="") for number in range(5)])
    first = ingest(deployment, source)
    ingest(deployment, source, Options(again=True))
    ids = [json.loads(each.value or b"")["event_id"] for each in records(deployment)]
    assert first.derived_ids == 5
    assert len(ids) == 10
    assert len(set(ids)) == 5


def test_lines_that_cannot_be_read_go_through_as_they_are(deployment: Configuration, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(b'{"event_id": "e1"}\nno json at all\n' + json.dumps(event(1)).encode())
    done = ingest(deployment, Source(str(tmp_path / "e.jsonl")))
    assert (done.sent, done.unreadable, done.unreadable_lines) == (3, 2, [1, 2])
    assert {each.value for each in records(deployment) if each.key is None} == {
        b'{"event_id": "e1"}',
        b"no json at all",
    }


def test_rows_of_a_csv_become_events(deployment: Configuration, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("Who,When,Sku,Name\n13085,2011-06-01T09:12:00Z,p1,MUG\n")
    columns = Columns({"customer_id": "Who", "time": "When", "item_id": "Sku", "item_name": "Name"}, {"type": "browse"})
    ingest(deployment, Source(str(tmp_path / "e.csv"), columns))
    (found,) = records(deployment)
    assert found.key == b"13085"
    assert json.loads(found.value or b"")["items"] == [{"item_id": "p1", "item_name": "MUG"}]
    assert item_names(deployment) == {"p1": "MUG"}


def test_backfill_is_marked_on_every_event(deployment: Configuration, tmp_path: Path) -> None:
    ingest(deployment, written(tmp_path / "e.jsonl", [event(1), event(2)]), Options(backfill=True))
    assert [json.loads(each.value or b"")["mode"] for each in records(deployment)] == ["backfill", "backfill"]


def test_a_rate_is_kept_and_events_are_committed_on_the_way(deployment: Configuration, tmp_path: Path) -> None:
    source = written(tmp_path / "e.jsonl", [event(number) for number in range(60)])
    committed: list[int] = []
    started = time.monotonic()
    ingest(deployment, source, Options(rate=40), lambda progress: committed.append(progress.sent))
    assert time.monotonic() - started >= 59 / 40
    assert any(0 < sent < 60 for sent in committed)


def test_a_speed_up_paces_by_event_time(deployment: Configuration, tmp_path: Path) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    source = written(tmp_path / "e.jsonl", [event(number) for number in range(5)])
    ingest(deployment, source, Options(speedup=0.5), clock=lambda: now[0], sleep=sleep)
    assert sum(slept) == pytest.approx(8.0)


def test_a_newer_load_of_the_same_file_takes_over(deployment: Configuration, tmp_path: Path) -> None:
    source = written(tmp_path / "e.jsonl", [event(number) for number in range(40)])
    second: list[Progress] = []

    def take_over(progress: Progress) -> None:
        if progress.sent and not second:
            second.append(ingest(deployment, source))

    with pytest.raises(IngestError, match="took over"):
        ingest(deployment, source, Options(rate=30), take_over)
    found = [json.loads(each.value or b"")["event_id"] for each in records(deployment)]
    assert sorted(found) == sorted(f"e{number}" for number in range(40))


def test_a_catalogue_file_replaces_what_is_there(deployment: Configuration, tmp_path: Path) -> None:
    ingest(deployment, written(tmp_path / "e.jsonl", [event(0)]))
    (tmp_path / "items.jsonl").write_text(
        '{"item_id": "p0", "item_name": "BLUE MUG"}\n\n{"item_id": "p9", "item_name": "TIN"}\n'
    )
    assert load_catalogue(deployment, tmp_path / "items.jsonl") == 2
    assert item_names(deployment) == {"p0": "BLUE MUG", "p9": "TIN"}
    ingest(deployment, written(tmp_path / "more.jsonl", [event(7)]))
    assert item_names(deployment)["p0"] == "BLUE MUG"


def test_a_catalogue_load_that_is_killed_holds_up_readers_no_longer_than_a_worker_would(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    written(tmp_path / "e.jsonl", [event(0)])
    os.mkfifo(tmp_path / "items.jsonl")
    admin = connect_admin(deployment.kafka)
    catalogue = deployment.topics.topic_names().physical(logical.CATALOGUE)
    places = [TopicPartition(catalogue, partition) for partition in range(3)]

    def held_open() -> bool:
        return ends_of(admin, places, committed=True) != ends_of(admin, places, committed=False)

    load = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "ingest", "e.jsonl", "--catalogue", "items.jsonl"],
        env={**os.environ, **environ, "TIDEMARK__ENGINE__TRANSACTION_TIMEOUT_MS": "1000"},
        cwd=tmp_path,
    )
    try:
        with (tmp_path / "items.jsonl").open("wb", buffering=0) as items:
            items.write(b'{"item_id": "p1", "item_name": "MUG"}\n')
            assert eventually(held_open)
            load.kill()
    finally:
        load.kill()
        load.wait()
    assert eventually(lambda: not held_open(), timeout=20)


@pytest.mark.parametrize("line", ["no json", '{"item_name": "x"}', '{"item_id": ""}'])
def test_a_catalogue_file_with_a_wrong_line_writes_nothing(
    deployment: Configuration, tmp_path: Path, line: str
) -> None:
    (tmp_path / "items.jsonl").write_text('{"item_id": "p1", "item_name": "MUG"}\n' + line + "\n")
    with pytest.raises(CatalogueFileError, match="line 2"):
        load_catalogue(deployment, tmp_path / "items.jsonl")
    assert item_names(deployment) == {}


def test_without_topics_it_says_how_to_create_them(environ: dict[str, str], tmp_path: Path) -> None:
    source = written(tmp_path / "e.jsonl", [event(0)])
    ended = subprocess.run(
        [sys.executable, "-m", "stream.cli", "ingest", source.path],
        env={**os.environ, **environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 4
    assert "create the topics with `tidemark topics`" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_stream_that_pauses_is_committed_while_it_pauses(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "ingest", "-"],
        env={**os.environ, **environ, "TIDEMARK__ENGINE__TRANSACTION_TIMEOUT_MS": "1000"},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
    ) as load:
        assert load.stdin is not None
        for count in (1, 2):
            load.stdin.write(json.dumps(event(count)).encode() + b"\n")
            load.stdin.flush()
            assert eventually(lambda count=count: len(records(deployment)) == count, timeout=20)  # type: ignore[misc]
            time.sleep(2)  # Longer than Kafka would keep a transaction open.
        load.stdin.close()
        assert load.wait(timeout=20) == 0


def test_a_line_larger_than_a_record_is_found_before_anything_is_sent(
    deployment: Configuration, tmp_path: Path
) -> None:
    source = written(tmp_path / "e.jsonl", [event(1), event(2, session_id="x" * 1_000_000)])
    with pytest.raises(SourceError, match=r"line 2: 1,000,\d+ bytes"):
        ingest(deployment, source)
    assert appended(deployment) == 0
    with pytest.raises(SourceError, match="line 2"):
        ingest(deployment, source, Options(catalogue=False))
    assert [json.loads(each.value or b"")["event_id"] for each in records(deployment)] == ["e1"]


def test_a_load_that_fails_holds_up_no_reader(deployment: Configuration, tmp_path: Path) -> None:
    def fail(progress: Progress) -> None:
        raise ZeroDivisionError

    source = written(tmp_path / "e.jsonl", [event(number) for number in range(50)])
    with pytest.raises(ZeroDivisionError):
        ingest(deployment, source, Options(rate=100), fail)
    assert appended(deployment) > 0
    started = time.monotonic()
    assert records(deployment) == []
    assert time.monotonic() - started < deployment.engine.transaction_timeout_ms / 1000 / 2
