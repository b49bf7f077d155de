"""Writes the generated documents of the contracts, or checks that the committed ones are what the code says.

``python -m stream.contracts.schemas docs`` after a change of a contract; ``--check`` in tests. It refuses changes
that are not additive to the released contracts in ``docs/schemas/baseline``, which ``--release`` moves on.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from stream.contracts.asyncapi import document
from stream.contracts.codec import MESSAGES
from stream.contracts.compatibility import breaking_changes
from stream.contracts.json_schema import message_schema

ASYNCAPI: Final = "asyncapi.json"
SCHEMAS: Final = "schemas"
BASELINE: Final = "schemas/baseline"
EXAMPLES: Final = "schemas/examples"


def generated(examples: dict[str, Any]) -> dict[str, bytes]:
    """Every generated document by its path below ``docs``."""
    files = {f"{SCHEMAS}/{message.name}.json": _pretty(message_schema(message)) for message in MESSAGES}
    return files | {ASYNCAPI: _pretty(document(version("tidemark"), examples))}


def read_folder(folder: Path) -> dict[str, Any]:
    """The JSON files right below ``folder``, by stem."""
    return {path.stem: msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


def not_additive(docs: Path) -> list[str]:
    """What of the contracts as they are would break those who hold on to the released ones."""
    current = {message.name: message_schema(message) for message in MESSAGES}
    return [
        f"{name}{change.removeprefix('$')}"
        for name, released in read_folder(docs / BASELINE).items()
        for change in (breaking_changes(released, current[name]) if name in current else [": removed"])
    ]


def stale(docs: Path) -> list[str]:
    """Paths below ``docs`` of what is missing, differs from the code, or is no message any more."""
    wanted = generated(read_folder(docs / EXAMPLES))
    differing = [
        path for path, text in wanted.items() if not (docs / path).exists() or (docs / path).read_bytes() != text
    ]
    left_over = [
        f"{SCHEMAS}/{stem}.json" for stem in read_folder(docs / SCHEMAS) if f"{SCHEMAS}/{stem}.json" not in wanted
    ]
    return differing + left_over


def main(
    docs: Path,
    check: Annotated[bool, typer.Option(help="Change nothing; fail if a document is stale.")] = False,
    release: Annotated[bool, typer.Option(help="Also freeze the contracts as they are now.")] = False,
) -> None:
    """Generate JSON Schemas and the AsyncAPI document of the contracts into DOCS."""
    if broken := not_additive(docs):
        raise SystemExit("not additive; publish a v2 beside it instead:\n  " + "\n  ".join(broken))
    if check:
        if outdated := stale(docs):
            raise SystemExit(f"stale: {', '.join(outdated)}. Run: python -m stream.contracts.schemas {docs}")
        return
    for path, text in generated(read_folder(docs / EXAMPLES)).items():
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_bytes(text)
        if release and path.startswith(SCHEMAS):
            (docs / BASELINE).mkdir(parents=True, exist_ok=True)
            (docs / BASELINE / Path(path).name).write_bytes(text)


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


if __name__ == "__main__":
    typer.run(main)
