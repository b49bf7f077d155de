"""What the tests of the fast path need."""

import shutil

import pytest

from tests.unit.workers.ways import Way


@pytest.fixture(scope="session")
def compiled() -> None:
    """Skips where there is no fast path because there is no compiler."""
    if Way(fast=True).partition.fast_path is None:
        if shutil.which("cc") or shutil.which("gcc") or shutil.which("clang"):
            pytest.fail("the fast path was not compiled, and there is a compiler: run `make setup`")
        pytest.skip("no compiler: there is no fast path to test")
