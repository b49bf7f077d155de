"""``make chaos``: faults of every kind for as long as it is told, then a verdict and a report.

Brings brokers and a model server of its own. Ends with status 1 when anything was wrong; the last line is
``faults N, events N, lost N, twice N, wrong states N``.
"""

import shlex
import shutil
import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from stream.embedded.triton_install import triton_available
from tests.chaos.brokers import Brokers
from tests.chaos.checker import compare
from tests.chaos.expectations import expected_of
from tests.chaos.model import ModelServer
from tests.chaos.report import complaints, page
from tests.chaos.run import Setting, run, until
from tests.chaos.schedule import endless

_LONGEST_FLOOD_S: Final = 60.0
_FLOOD_SHARE: Final = 20.0


def main(
    seconds: Annotated[float, typer.Option(help="Faults strike for so long; the last ones are waited for.")] = 180.0,
    seed: Annotated[int | None, typer.Option(help="Log, order of the faults, victims. Drawn unless given.")] = None,
    brokers: Annotated[int, typer.Option(help="1, or 3 with rolling restarts and one down.")] = 1,
    pace: Annotated[float, typer.Option(help="Events a second; a flood is ten times that.")] = 100.0,
    report: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("chaos-report.md"),
    model: Annotated[bool, typer.Option(help="Ask a real Triton; otherwise answers are drawn.")] = True,
) -> None:
    """Strike a deployment of both roles with faults, and count what is lost, twice or wrong."""
    if brokers not in (1, 3):
        raise typer.BadParameter("1 or 3", param_hint="--brokers")
    seed = uuid.uuid4().int % 1_000_000 if seed is None else seed
    available, why = triton_available()
    if model and not available:
        print(f"answers are drawn: {why}")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="tidemark-chaos-"))
        print(f"seed {seed}, logs in {folder}", flush=True)
        cluster = stack.enter_context(Brokers(brokers, folder))
        server = stack.enter_context(ModelServer(folder, seed)) if model and available else None
        flood_s = min(_LONGEST_FLOOD_S, seconds / _FLOOD_SHARE)
        setting = Setting(folder, "chaos.", cluster.bootstrap_servers, cluster, server, flood_s)
        found = run(setting, seed, pace, until(seconds, lambda scene: endless(scene, seed)), _say)
        _say("reading back and folding straight")
        verdict = compare(found.reading, expected_of(found.reading, found.configuration))
    report.write_text(page(found, verdict, f"make chaos {_told(seconds, seed, brokers)}", seed))
    print(f"report in {report}")
    wrong = complaints(found, verdict)
    for line in wrong:
        print(f"wrong: {line}")
    right = verdict.right and not wrong
    if right:
        shutil.rmtree(folder)
    print(verdict.report(len(found.struck)))
    sys.exit(0 if right else 1)


def _told(seconds: float, seed: int, brokers: int) -> str:
    settings = {"SECONDS": f"{seconds:g}", "SEED": str(seed), **({"BROKERS": str(brokers)} if brokers > 1 else {})}
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
