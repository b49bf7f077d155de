"""``make fuzz SECONDS=600``: a coverage-guided search (atheris) for bytes on which decoding or folding fails.

Begins with events and with poison of every way, keeps what reaches new code, and ends with a non-zero status and the
bytes in ``.fuzz/`` when one breaks what ``history.py`` asks for.
"""

import sys
from pathlib import Path
from random import Random
from typing import Final

import atheris

with atheris.instrument_imports(include=["stream.profiles", "stream.contracts"]):
    from tests.fuzz.history import fold_bytes

from tests.chaos.input_log import chapters
from tests.chaos.poison import WAYS

FOLDER: Final = Path(".fuzz")
SEPARATOR: Final = b"\x00\n"
"""Between two records; JSON has no such bytes."""
_EVENTS: Final = 300
_HISTORY: Final = 6
_LONGEST: Final = 64 * 1024


def one(data: bytes) -> None:
    """The first line is the key, the others are records."""
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
        values = values[:_HISTORY] + [draw.choice(WAYS)(draw)[:_LONGEST]]
        (folder / f"example-{number}").write_bytes(SEPARATOR.join([key, *values]))


def main(seconds: int) -> None:
    """Search for so long; does not return."""
    corpus = FOLDER / "corpus"
    write_examples(corpus)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        f"-artifact_prefix={FOLDER}/",
        "-print_final_stats=1",
    ]
    # Lists and strings are walked by msgspec in C; a slow input is not what is looked for.
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
