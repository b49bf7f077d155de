"""Errors of files as a command ends with them: which file, and what is wrong with it, without numbers of the system."""

import errno
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stream.cli.exits import Exit, end_with


def _of_pyarrow(path: str) -> OSError:
    with pytest.raises(OSError, match="Failed to open") as raised:
        pq.ParquetFile(path)
    return raised.value


def _of_the_system(path: str) -> OSError:
    with pytest.raises(OSError, match=path) as raised:
        Path(path).read_bytes()
    return raised.value


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (lambda: _of_the_system("none"), "none does not exist: check the path"),
        (lambda: _of_the_system("away/none"), "away does not exist: check the path"),
        (lambda: _of_the_system("folder"), "folder is a folder: give a file"),
        (
            lambda: _of_the_system("file/none"),
            "file/none cannot be reached: one of its folders is a file; check the path",
        ),
        (lambda: _of_pyarrow("none"), "none does not exist: check the path"),
        (lambda: PermissionError(errno.EACCES, "no", "secret"), "secret cannot be opened: permission denied"),
        (lambda: FileNotFoundError("no versions: train one"), "no versions: train one"),
    ],
)
def test_what_the_system_says_of_a_file_is_said_in_words(
    made: Callable[[], OSError],
    line: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    assert end_with(made(), debug=False) is Exit.INPUT
    assert capsys.readouterr().err == f"tidemark: {line}\n"
