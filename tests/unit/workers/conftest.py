"""What the tests of the fast path need."""

import shutil

import pytest

from stream.workers import profiles
from tests.unit.workers.ways import Way


@pytest.fixture(scope="session")
def compiled() -> None:
    """Skips where there is no fast path because there is no compiler."""
    if Way(fast=True).partition.fast_path is None:
        if shutil.which("cc") or shutil.which("gcc") or shutil.which("clang"):
            pytest.fail(f"there is a compiler, and no fast path ({profiles._OTHER_FOLD}): run `make setup`")
        pytest.skip("no compiler: there is no fast path to test")
