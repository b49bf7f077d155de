"""`tidemark demo`: eighteen months of real orders through everything, and a report of what came out."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes, output
from stream.cli.exits import Exit

DEADLINE_MS = 2_000


def demo(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: the report as one object.")] = False,
) -> None:
    """Replay eighteen months of real orders through Kafka, Triton and both workers, and show what came out.

    Needs nothing but this machine, and leaves nothing behind. Exit code 1 when anything promised did not happen.
    """
    import msgspec

    from stream.cli.demo_progress import demo_progress
    from stream.cli.demo_view import show
    from stream.configuration.settings import Configuration, TritonSettings
    from stream.operations.demo import Demo
    from stream.operations.demo_events import demo_events
    from stream.operations.demo_report import demo_report
    from stream.operations.stack import Stack

    console = notes()
    folder = Path(tempfile.mkdtemp(prefix="tidemark-demo-"))
    # Of what is set in this folder only the policies are the demo's business: it shows what they would do. At full
    # speed, beside everything else on the same cores, a call may take longer than live calls may.
    configuration = Configuration(
        data_dir=str(folder),
        triton=TritonSettings(deadline_ms=DEADLINE_MS),
        policies=loaded(context).configuration.policies,
    )
    try:
        with Stack(configuration, None, folder, say=lambda line: console.print(f"[dim]{line}[/dim]")) as stack:
            stack.start()
            events = demo_events(time.time_ns() // 1_000_000)
            with demo_progress(console) as update:
                run = Demo(stack, events, folder, update).run()
            console.print("[dim]reading the topics and holding them against what was sent[/dim]")
            report = demo_report(stack.configuration, events, run)
    except BaseException:
        console.print(f"the logs are kept in {folder}")
        raise
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        show(report, output())
    if report.broken:
        for sentence in report.broken:
            console.print(f"[red]promised and not kept:[/red] {sentence}")
        console.print(f"the logs are kept in {folder}")
        raise typer.Exit(Exit.PROMISE_BROKEN)
    shutil.rmtree(folder, ignore_errors=True)
