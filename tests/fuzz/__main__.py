"""``make fuzz SECONDS=600``: a coverage-guided search (atheris) for bytes on which decoding or folding fails.

Begins with events and with poison of every way, keeps what reaches new code, and ends with a non-zero status and the
bytes in ``.fuzz/`` when one breaks what ``history.py`` asks for.
"""

import sys
from pathlib import Path
from random import Random
from typing import Final, get_args

import atheris
import msgspec

with atheris.instrument_imports(include=["stream.profiles", "stream.contracts"]):
    from tests.fuzz.history import fold_bytes

from stream.contracts.events import Consent, Event, EventType, Item, Review
from tests.chaos.input_log import chapters
from tests.chaos.poison import WAYS

FOLDER: Final = Path(".fuzz")
SEPARATOR: Final = b"\x00\n"
"""Between two records; JSON has no such bytes."""
_EVENTS: Final = 300
_HISTORY: Final = 6
_LONGEST: Final = 64 * 1024


def one(data: bytes) -> None:
    """What comes before the first separator is the key, the rest are records."""
    key, *values = data.split(SEPARATOR)
    fold_bytes(key, values)


def write_examples(folder: Path) -> None:
    """Histories of a few records for the search to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = Random(1)
    by_key: dict[bytes, list[bytes]] = {}
    log = chapters(1, 40)
    for _ in range(_EVENTS):
        record = next(log)
        by_key.setdefault(record.key or b"", []).append(record.value or b"")
    for number, (key, values) in enumerate(by_key.items()):
        poisoned = draw.choice(WAYS)(draw)[:_LONGEST]
        (folder / f"example-{number}").write_bytes(SEPARATOR.join([key, *values[:_HISTORY], poisoned]))


def write_words(path: Path) -> None:
    """What JSON of events is made of, for mutations that single bytes would hardly find."""
    fields = [field.name for kind in (Event, Item, Review, Consent) for field in msgspec.structs.fields(kind)]
    words = [*fields, *get_args(EventType), "null", "1e999", "NaN", "granted", "backfill"]
    path.write_text("".join(f'"{word}"\n' for word in words))


def main(seconds: int) -> None:
    """Search for so long; does not return."""
    corpus = FOLDER / "corpus"
    write_examples(corpus)
    write_words(FOLDER / "words")
    options = {
        "max_total_time": seconds,
        "max_len": _LONGEST,
        "dict": FOLDER / "words",
        "artifact_prefix": f"{FOLDER}/",
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], str(corpus), *(f"-{name}={value}" for name, value in options.items())], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
