"""`tidemark up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes

FRIENDLY_PORT = 9092
LOOK_SECONDS = 0.2


def up(
    context: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep Kafka's data in the data folder and go on with it next time.")
    ] = False,
) -> None:
    """Run Kafka, Triton and a worker of each role on this machine, until Ctrl-C.

    Commands in the same folder find them without any flag. A part that dies is started again; none outlives this
    command.
    """
    import os

    from stream.configuration.resolve import DEFAULT
    from stream.configuration.running import Running, RunningFile
    from stream.operations.stack import Stack

    configuration, origins = loaded(context)
    console = notes()
    stop = threading.Event()
    folder = Path(configuration.data_dir)
    with RunningFile() as file:
        stack = Stack(
            configuration,
            context.obj.config or _present(Path("tidemark.toml")),
            (folder / "logs").absolute(),
            data=folder / "kafka" if keep else None,
            kafka_port=FRIENDLY_PORT,
            say=lambda line: console.print(line),
        )
        with stack:
            stack.start()
            triton_url = stack.configuration.triton.url if stack.triton is not None else ""
            file.write(
                Running(
                    pid=os.getpid(),
                    bootstrap_servers=stack.kafka.bootstrap_servers,
                    triton_url=triton_url,
                )
            )
            if origins["kafka.bootstrap_servers"] != DEFAULT:
                console.print(
                    f"[yellow]kafka.bootstrap_servers is set ({origins['kafka.bootstrap_servers']}): other commands "
                    "will talk to that Kafka, not to this one[/yellow]"
                )
            console.print(f"logs are in {folder / 'logs'}; Ctrl-C ends everything")
            console.print("in another terminal, in this folder: tidemark ingest FILE, tidemark tail alerts")
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signal_number, lambda *_: stop.set())
            while not stop.wait(LOOK_SECONDS):
                stack.restart_dead()
            console.print("ending")


def _present(path: Path) -> Path | None:
    return path if path.exists() else None
