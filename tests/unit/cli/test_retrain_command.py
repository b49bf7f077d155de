"""`tidemark retrain` as it is typed: what it refuses, and how it ends. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

from pathlib import Path

from stream.cli.app import main
from stream.cli.exits import Exit
from stream.contracts.codec import encode
from tests.unit.serving.recorded_shop import shop_events


def ends(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["retrain", *arguments])
    return int(ended.value.code or 0)


def test_a_window_that_must_not_be_learned_from_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    poison = b'{"type": "purchase", "event_id": "x", "time": 1300000000000, "customer_id": "1"}'
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([*map(encode, shop_events(10)), *[poison] * 200]))
    assert ends("--events", "events.jsonl") == Exit.REFUSED
    said = capsys.readouterr().err
    assert said.startswith("tidemark: 200 of ")
    assert "are dead letters, 5.0% may be: nothing was trained" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("every", ["weekly", "0d", "7"])
def test_a_pause_is_hours_or_days(every: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("--every", every) == Exit.USAGE
    assert "12h or 7d" in capsys.readouterr().err
