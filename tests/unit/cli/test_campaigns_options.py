"""What `tidemark campaigns report` refuses before it asks Kafka."""

from __future__ import annotations

import pytest

from stream.cli.app import main


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "kind,colour"], "'colour' is none of kind, segment, month, week"),
        (["--detect", "2"], "2 is no share between 0 and 1"),
        (["--from", "yesterday"], "'yesterday' is no moment"),
        (["--days", "0"], "'--days'"),
    ],
)
def test_wrong_options_are_refused_in_words(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["campaigns", "report", *options])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
