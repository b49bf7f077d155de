"""Converts data sets in files to files of canonical events, one JSON object a line.

It reads and writes; what an event is made of is decided in `online_retail.py`. Called by `tidemark convert`, whose
output is what `tidemark ingest` and `tidemark train` read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stream.operations.files import whole_file
from stream.operations.online_retail import ConversionReport, InvoiceLine, UnsortedError, events_of

ROWS_AT_A_TIME: Final = 65_536


class ConversionError(ValueError):
    """The file is not what it was said to be."""


def convert_online_retail(
    source: Path,
    destination: str | Path,
    keep: Callable[[str], bool] = lambda customer_id: True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ConversionReport:
    """Write the events of an Online Retail II parquet file to ``destination``.

    Args:
        source: parquet with the columns of `InvoiceLine`, sorted by ``invoice_time``.
        destination: ``.jsonl``, ``.jsonl.gz``, ``.jsonl.xz`` or ``-``. The same input gives the same bytes.
        keep: whether a customer's events are wanted.
        on_progress: called now and then with the lines read so far and in all.

    Returns:
        What became of the lines.

    Raises:
        ConversionError: if columns are missing or the rows are not sorted.
    """
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise ConversionError(f"{source} is not a parquet file: {error}") from error
    missing = set(InvoiceLine._fields) - set(file.schema_arrow.names)
    if missing:
        raise ConversionError(f"{source} is not Online Retail II: it has no column {', '.join(sorted(missing))}")
    report = ConversionReport()
    encoder = msgspec.json.Encoder()
    try:
        with whole_file(destination) as out:
            for event in events_of(_lines(file, report, on_progress), report, keep):
                out.write(encoder.encode(event) + b"\n")
    except UnsortedError as error:
        raise ConversionError(f"{source}: {error}") from error
    return report


def _lines(
    file: pq.ParquetFile, report: ConversionReport, on_progress: Callable[[int, int], None]
) -> Iterator[InvoiceLine]:
    names = list(InvoiceLine._fields)
    for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=names):
        columns = [batch.column(name).to_pylist() for name in names]
        yield from map(InvoiceLine._make, zip(*columns, strict=True))
        on_progress(report.lines, file.metadata.num_rows)
