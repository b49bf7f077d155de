"""`tidemark tune` as it is typed: what it refuses, prints, and leaves for `tidemark train`. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")
pytest.importorskip("optuna", reason="training needs the extra `train`, which `make test` installs")

from serving.training import search as searching
from serving.training.settings import read_settings
from stream.cli.app import main
from stream.cli.exits import Exit
from stream.contracts.codec import encode
from tests.unit.serving.recorded_shop import shop_events


def test_the_best_settings_are_printed_in_80_columns_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(map(encode, shop_events(10, days=540))))
    # What a loss is, is tested where it is made.
    monkeypatch.setattr(searching, "loss_of", lambda part, judge, settings: 1 / settings.learning_rate)
    with pytest.raises(SystemExit) as ended:
        main(["tune", "events.jsonl", "--out", "best.json", "--trials", "8", "--seed", "3"])
    assert not ended.value.code
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split() == ["trial", "width", "rate", "half-life,", "days", "epochs", "loss"]
    assert len(lines) == 9
    assert max(map(len, [*lines, *said.err.splitlines()])) <= 80
    (best,) = [line for line in lines if line.endswith("the best")]
    assert f"{read_settings(tmp_path / 'best.json').learning_rate:.3g}" == best.split()[2]
    assert read_settings(tmp_path / "best.json").seed == 1, "the seed of the search is not one of training"


def test_what_cannot_be_tuned_is_said_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(map(encode, shop_events(10, days=300))))
    (tmp_path / "wrong.json").write_text('{"learning_rat": 1}')
    for options, code, says in (
        (["--settings", "wrong.json"], Exit.USAGE, "wrong.json names learning_rat"),
        ([], Exit.INPUT, "events.jsonl span"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["tune", "events.jsonl", "--out", "best.json", *options])
        assert ended.value.code == code
        assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "best.json").exists()
