"""`tidemark sentiment` on tables of every kind, and what it says of those that it cannot read."""

import gzip

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from serving.text.encoder import shipped_encoder
from stream.operations.rows import MappingError
from stream.operations.sentiment import say_sentiment
from stream.operations.sources import SourceError

GOOD = "Love it, fits perfectly, great quality and so soft, I get compliments."
BAD = "Terrible quality, it fell apart.\nScratchy and cheap, I returned it, so disappointed."
ROWS = {"id": [7, 3, 5], "note": [GOOD, None, BAD]}


@pytest.fixture(scope="module")
def encoder():
    return shipped_encoder()


def write(folder, name, rows):
    path = folder / name
    table = pa.table(rows)
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    elif ".csv" in name:
        pa_csv.write_csv(table, path)
    else:
        path.write_bytes(b"\n".join(orjson.dumps(row) for row in table.to_pylist()) + b"\n")
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl", "t.jsonl.gz"])
def test_rows_keep_their_order_and_columns_and_get_four_more(encoder, tmp_path, name):
    path = write(tmp_path, name.removesuffix(".gz"), ROWS)
    if name.endswith(".gz"):
        path, plain = tmp_path / name, path
        path.write_bytes(gzip.compress(plain.read_bytes()))
    said = say_sentiment(path, tmp_path / "out.parquet", encoder, "note", None)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["id", "note", "label", "p_negative", "p_neutral", "p_positive"]
    assert table["id"].to_pylist() == [7, 3, 5]
    assert table["label"].to_pylist() == ["positive", "positive", "negative"]
    shares = np.stack([table[f"p_{name}"].to_numpy() for name in ("negative", "neutral", "positive")], 1)
    assert np.allclose(shares.sum(1), 1, atol=1e-3)
    assert shares[0, 2] > 0.9
    assert shares[2, 0] > 0.5
    assert np.allclose(shares[1], encoder.card.base_rates)
    assert said == (3, 1, {"negative": 1, "neutral": 0, "positive": 2}, None)


def test_a_title_is_read_and_said(encoder, tmp_path):
    rows = {"title": ["Awful, returned", "Perfect, love it"], "text": ["The dress."] * 2, "head": ["Great!", "Bad!"]}
    path, out = write(tmp_path, "t.parquet", rows), tmp_path / "o.parquet"
    assert say_sentiment(path, out, encoder, "text", None).title_column == "title"
    by_title = pq.read_table(out)["p_negative"].to_pylist()
    assert by_title[0] > 0.5 > by_title[1]
    assert say_sentiment(path, out, encoder, "text", "head").title_column == "head"
    assert pq.read_table(out)["p_negative"].to_pylist()[0] < by_title[0]
    assert say_sentiment(path, out, encoder, "title", None).title_column is None


def test_texts_of_digits_alone_are_texts(encoder, tmp_path):
    path = write(tmp_path, "t.csv", {"note": ["10", "5"]})
    assert say_sentiment(path, tmp_path / "o.parquet", encoder, "note", None).rows == 2


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("t.csv", b"id,text\n1,fine\n", MappingError, "no column note; it has id, text"),
        ("t.csv", b"note,label\nfine,1\n", MappingError, "has a column label already"),
        ("t.csv", b"note\n\n", SourceError, "no row"),
        ("t.jsonl", b'{"note": 5}\n', MappingError, "holds int64, no text"),
        ("t.jsonl", b'{"note": \n', SourceError, "cannot be read as jsonl"),
        ("t.csv", b"", SourceError, "cannot be read as csv"),
        ("t.parquet", b"nothing", SourceError, "cannot be read as parquet"),
        ("t.xlsx", b"x", SourceError, "ending .parquet, .csv"),
    ],
)
def test_what_cannot_be_read_is_said(encoder, tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        say_sentiment(tmp_path / name, tmp_path / "o.parquet", encoder, "note", None)
    assert not (tmp_path / "o.parquet").exists()


def test_a_missing_file_or_folder_is_said(encoder, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        say_sentiment(tmp_path / "no.csv", tmp_path / "o.parquet", encoder, "note", None)
    path = write(tmp_path, "t.csv", {"note": ["fine"]})
    with pytest.raises(FileNotFoundError, match="no folder"):
        say_sentiment(path, tmp_path / "no" / "o.parquet", encoder, "note", None)
