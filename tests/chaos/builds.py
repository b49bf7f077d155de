"""Other builds of Tidemark: copies of its package in which a few lines are not the same, for workers to run.

Nothing is compiled for them: they have the compiled parts of this build, as a checkout has in which only the Python was
changed. Called by the test of upgrades.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.chaos.crew import ROOT


class Change(NamedTuple):
    """What another build has in place of ``here``, which ``module`` has once."""

    module: str
    here: str
    there: str


NOTED_AT: Final = "noted_at"
"""The field that the newer build adds to ``Profile``: the time of the first event of a customer that it has folded."""

ADDED_FIELD: Final = (
    Change(
        "profiles/profile.py",
        """    mode: Mode = "live"\n""",
        f"""    mode: Mode = "live"\n    {NOTED_AT}: int = 0\n""",
    ),
    Change(
        "profiles/fold.py",
        "    ids = profile.event_ids + key\n",
        f"    profile.{NOTED_AT} = profile.{NOTED_AT} or time\n    ids = profile.event_ids + key\n",
    ),
)

CHANGED_FOLD: Final = (Change("profiles/fold.py", "FOLD_VERSION: Final = 1\n", "FOLD_VERSION: Final = 2\n"),)


def build(folder: Path, changes: Sequence[Change]) -> Path:
    """Make a build with ``changes`` in ``folder``, and return it.

    Raises:
        ValueError: a change finds no place, or more than one.
    """
    shutil.copytree(ROOT / "stream", folder / "stream", ignore=shutil.ignore_patterns("__pycache__"))
    for module, here, there in changes:
        path = folder / "stream" / module
        before, *behind = path.read_text().split(here)
        if len(behind) != 1:
            raise ValueError(f"{module} has {len(behind)} times {here!r}")
        path.write_text(before + there + behind[0])
    return folder
