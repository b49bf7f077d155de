"""What an install in the cache folder promises, whatever is installed."""

import multiprocessing
from pathlib import Path

import pytest

from stream.embedded.cache import CACHE_VARIABLE, InstallError, cache_folder, installed, run_installer


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def _fill(folder: Path) -> None:
    with (cache_folder() / "builds").open("a") as builds:
        builds.write("built\n")
    (folder / "file").write_text("content")


def _install_in_child(_: int) -> str:
    return str(installed("thing", {"version": "1"}, _fill))


def test_install_is_made_once() -> None:
    first = installed("thing", {"version": "1"}, _fill)
    assert installed("thing", {"version": "1"}, _fill) == first
    assert (first / "file").read_text() == "content"
    assert (cache_folder() / "builds").read_text() == "built\n"


def test_processes_installing_at_once_build_once_and_agree() -> None:
    cache_folder().mkdir(parents=True)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        folders = set(pool.map(_install_in_child, range(8)))
    assert len(folders) == 1
    assert (cache_folder() / "builds").read_text() == "built\n"


def test_other_versions_are_another_install() -> None:
    assert installed("thing", {"version": "1"}, _fill) != installed("thing", {"version": "2"}, _fill)


def test_failed_build_leaves_nothing_that_looks_installed() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise InstallError("the registry is away")

    with pytest.raises(InstallError):
        installed("thing", {"version": "1"}, fail)
    assert not [path for path in cache_folder().iterdir() if path.is_dir()]
    assert (installed("thing", {"version": "1"}, _fill) / "file").exists()


def test_failed_installer_tells_its_output_and_what_to_do() -> None:
    with pytest.raises(InstallError, match=r"a thing could not be installed: ask somebody\n.*\nno such package"):
        run_installer(["sh", "-c", "echo no such package; exit 1"], what="a thing", advice="ask somebody")
