"""`tidemark retrain` as it is typed: what it refuses, and how it ends. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

from pathlib import Path

from serving.holdout import is_demo_customer
from stream.cli.app import main
from stream.cli.exits import Exit
from stream.contracts.codec import encode
from tests.unit.serving.recorded_shop import shop_events


def ends(*arguments: str, command: str = "retrain") -> int:
    with pytest.raises(SystemExit) as ended:
        main([command, *arguments])
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


@pytest.mark.parametrize("command", [["train"], ["retrain", "--events"]], ids=" ".join)
def test_too_little_history_is_an_error_of_the_input_that_names_the_file(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    events = shop_events(40, days=90)
    of_demo = [event for event in events if is_demo_customer(event.customer_id)]
    name, *options = command
    for held, says in ((events, "span too little time"), (of_demo, "kept for the demo"), ([], "no customer's events")):
        (tmp_path / "mine.jsonl").write_bytes(b"\n".join(map(encode, held)))
        assert ends(*options, "mine.jsonl", command=name) == Exit.INPUT
        said = capsys.readouterr().err.splitlines()
        assert "mine.jsonl" in said[-1]
        assert says in said[-1]
        assert not list(tmp_path.rglob("window.jsonl.gz"))


@pytest.mark.parametrize("every", ["weekly", "0d", "7"])
def test_a_pause_is_hours_or_days(every: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("--every", every) == Exit.USAGE
    assert "12h or 7d" in capsys.readouterr().err
