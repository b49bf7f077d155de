"""Files of events of every kind, and files that are whole or absent."""

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.operations.files import whole_file
from stream.operations.rows import MappingError
from stream.operations.sources import NO_COLUMNS, Columns, Line, Source, SourceError, arriving_lines, check_size

EVENTS = [{"type": "browse", "time": 1, "customer_id": f"c{number}"} for number in range(3)]
JSON_LINES = b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)


def read(path: Path, columns: Columns = NO_COLUMNS) -> list[dict[str, object]]:
    return [json.loads(line.value) for line in Source(str(path), columns).lines()]


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("e.jsonl", bytes),
        ("e.jsonl.gz", gzip.compress),
        ("e.jsonl.xz", lzma.compress),
        ("e.jsonl.bz2", bz2.compress),
        ("E.JSONL.GZ", gzip.compress),
        ("e.Jsonl.Xz", lzma.compress),
    ],
)
def test_json_lines_are_read_whether_compressed_or_not(tmp_path: Path, name: str, compress: object) -> None:
    (tmp_path / name).write_bytes(compress(JSON_LINES))  # type: ignore[operator]
    assert read(tmp_path / name) == EVENTS


def test_lines_keep_their_number_when_empty_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(b'{"a":1}\n\n  \nnonsense\n')
    assert list(Source(str(tmp_path / "e.jsonl")).lines()) == [Line(0, b'{"a":1}'), Line(3, b"nonsense")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_any_common_delimiter(tmp_path: Path, delimiter: str) -> None:
    rows = [["type", "time", "customer_id"], *[[str(value) for value in event.values()] for event in EVENTS]]
    (tmp_path / "e.csv").write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8-sig")
    assert read(tmp_path / "e.csv") == EVENTS


def test_csv_with_mapped_columns(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text('Customer,Date,Item\n"c, 1",2024-01-01T00:00:00Z,p1\n')
    columns = Columns({"customer_id": "Customer", "time": "Date", "item_id": "Item"}, {"type": "browse"})
    (event,) = read(tmp_path / "e.csv", columns)
    assert event["customer_id"] == "c, 1"
    assert event["items"] == [{"item_id": "p1"}]


def test_csv_without_the_needed_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MappingError):
        read(tmp_path / "e.csv")


def test_an_empty_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("")
    with pytest.raises(SourceError, match="header"):
        read(tmp_path / "e.csv")


def test_parquet_with_nested_items(tmp_path: Path) -> None:
    rows = [{**event, "items": [{"item_id": "p1", "price": 1.5}], "session_id": None} for event in EVENTS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "e.parquet")
    assert read(tmp_path / "e.parquet") == [{**event, "items": [{"item_id": "p1", "price": 1.5}]} for event in EVENTS]


def test_a_file_that_only_says_it_is_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_text("no")
    with pytest.raises(SourceError, match="is not a parquet file"):
        read(tmp_path / "e.parquet")


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file absent\.jsonl"):
        Source("absent.jsonl")


def test_identity_follows_content_and_mapping_and_nothing_else(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / f"{name}.csv").write_bytes(content)
    a, b, c = (Source(str(tmp_path / f"{name}.csv")).identity() for name in "abc")
    assert a == b != c
    assert Source(str(tmp_path / "a.csv"), Columns({"time": "When"})).identity() != a


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz", "e.jsonl.xz"])
def test_a_written_file_is_the_same_bytes_every_time_and_reads_back(tmp_path: Path, name: str) -> None:
    written = []
    for _ in range(2):
        with whole_file(tmp_path / "new" / name) as out:
            out.write(JSON_LINES)
        written.append((tmp_path / "new" / name).read_bytes())
    assert written[0] == written[1]
    assert read(tmp_path / "new" / name) == EVENTS


def test_a_file_whose_writing_failed_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(TypeError), whole_file(tmp_path / "e.jsonl") as out:
        out.writelines([b"half", None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["e.txt", "e", "e.gz", "e.jsonl.zst", "e.parquet.gz"])
def test_a_name_that_does_not_say_what_it_holds_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(JSON_LINES)
    with pytest.raises(SourceError, match=r"known are \.jsonl, \.ndjson, \.json, \.csv, \.tsv"):
        Source(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.jsonl.gz", gzip.compress(JSON_LINES)[:-9]),
        ("plain.jsonl.gz", JSON_LINES),
        ("cut.jsonl.xz", lzma.compress(JSON_LINES)[:-9]),
        ("plain.jsonl.xz", JSON_LINES),
        ("plain.csv.bz2", JSON_LINES),
        ("latin.csv", "type,time,customer_id\nbrowse,1,Zoë\n".encode("latin-1")),
    ],
)
def test_a_broken_file_is_refused_in_one_line_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=name) as refused:
        read(tmp_path / name)
    assert len(str(refused.value).splitlines()) == 1


def test_a_pause_of_the_input_is_told_and_loses_nothing() -> None:
    reading, writing = os.pipe()
    lines = arriving_lines(reading, 0.01)
    try:
        os.write(writing, b"one\ntw")
        assert [next(lines), next(lines)] == [b"one", None]
        os.write(writing, b"o\n\nthree")
        os.close(writing)
        assert list(lines) == [b"two", b"", b"three"]
    finally:
        os.close(reading)


def test_a_line_larger_than_a_record_is_refused_with_its_place_and_size(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(JSON_LINES)
    source = Source(str(tmp_path / "e.jsonl"))
    check_size(source, Line(6, b""), 100, limit=100)
    with pytest.raises(SourceError, match=r"e\.jsonl, line 7: 1,001 bytes, more than the 1,000 "):
        check_size(source, Line(6, b""), 1001, limit=1000)
