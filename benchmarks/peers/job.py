"""The simple job that every system of the comparison does, and what a system is told about one run of it.

Per customer: events by type, money spent on purchases, and the last 50 items, kept as state in a changelog; and for
each purchase a summary is put out. What must come of it is worked out by ``benchmarks.peers.oracle``; each system has
a program of its own beside this module.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple, Self

LAST_ITEMS: Final = 50
COMMIT_INTERVAL_MS: Final = 500
_PREFIX: Final = "BENCH_"


class Job(NamedTuple):
    """One run of one system. Its topics exist, but for a changelog that the system makes itself."""

    bootstrap_servers: str
    group: str
    """Consumer group or application id, another for each run."""
    events: str
    """Topic of the events: JSON by customer, as in the README."""
    summaries: str
    """Topic of the summaries: JSON ``{customer_id, events, spend, last_item}`` by customer."""
    partitions: int
    folder: Path
    """For local stores."""
    threads: int = 1

    @property
    def changelog(self) -> str:
        """The name that Kafka Streams and Faust give to the changelog of a store ``customers``."""
        return f"{self.group}-customers-changelog"

    def environ(self) -> dict[str, str]:
        """The job for a program in any language."""
        return {f"{_PREFIX}{name.upper()}": str(value) for name, value in self._asdict().items()} | {
            f"{_PREFIX}COMMIT_MS": str(COMMIT_INTERVAL_MS)
        }

    @classmethod
    def from_environ(cls) -> Self:
        """The job that a program was started with."""
        given = {name: os.environ[f"{_PREFIX}{name.upper()}"] for name in cls._fields}
        return cls(
            **given
            | {  # type: ignore[arg-type]
                "partitions": int(given["partitions"]),
                "threads": int(given["threads"]),
                "folder": Path(given["folder"]),
            }
        )
