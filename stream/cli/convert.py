"""`tidemark convert`: Online Retail II to canonical events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import notes

ONLINE_RETAIL = "online-retail"


def convert(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[online-retail] RAW OUT",
            help="The data set, the only one so far; its parquet file; .jsonl, .jsonl.gz, .jsonl.xz, or - for standard "
            "output.",
            show_default=False,
        ),
    ],
    demo_sample: Annotated[
        bool, typer.Option("--demo-sample", help="Only the customers that no shipped model was trained on.")
    ] = False,
) -> None:
    """Turn invoice lines into canonical events: an invoice is one event.

    Cancellations become returns that name the order they undo, where it is found. What is left out is counted and said.
    """
    from serving.holdout import is_demo_customer
    from stream.cli.progress import progress_bar
    from stream.operations.convert import convert_online_retail

    source, destination = _source_and_destination(arguments)
    with progress_bar("converting", "lines") as update:
        report = convert_online_retail(
            Path(source), destination, is_demo_customer if demo_sample else lambda customer: True, update
        )
    console = notes()
    events = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(report.events.items()))
    console.print(f"{report.kept:,} of {report.lines:,} lines in {events}")
    if report.returned_lines:
        share = report.matched_lines / report.returned_lines
        console.print(f"{report.returned_lines:,} returned lines, {share:.0%} with the order that they undo")
    for reason, count in report.dropped.most_common():
        console.print(f"left out: {count:,} lines: {reason}")


def _source_and_destination(arguments: list[str]) -> list[str]:
    if len(arguments) == 3 and arguments[0] == ONLINE_RETAIL:
        return arguments[1:]
    if len(arguments) == 2 and arguments[0] != ONLINE_RETAIL:
        return arguments
    raise typer.BadParameter(
        "give the data set, its file and where the events go: "
        f"tidemark convert {ONLINE_RETAIL} RAW.parquet OUT.jsonl.gz"
    )
