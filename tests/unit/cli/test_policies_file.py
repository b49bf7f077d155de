"""A file of policies: what is wrong is named with its line, and what is shown can be applied again."""

import re
from pathlib import Path

import pytest

from stream.cli.policies_view import as_toml
from stream.configuration.load import load_policies
from stream.configuration.resolve import ConfigurationError
from stream.decisions.policies import Policies
from stream.operations.policies import differences

FILE = """\
# Of the shop's marketing.
holdout_share = 0.1

[churn_risk]
raise_threshold = 0.5
resolve_threshold = 0.43

[quiet_hours]
begin = "21:00"
end = "08:00"
time_zone = "Europe/London"

[[actions]]
code = "personal_call"
segment = "high_value"

[[actions]]
code = "win_back_offer"
params = { discount_percent = 10 }
"""


@pytest.mark.parametrize(
    ("wrong", "line", "said"),
    [
        (("holdout_share = 0.1", "holdout_share = 1.5"), 2, "holdout_share is 1.5"),
        (("holdout_share", "holdout_shar"), 2, "did you mean policies.holdout_share"),
        (("raise_threshold = 0.5", 'raise_threshold = "high"'), 5, "expected `float | null`"),
        (("resolve_threshold = 0.43", "resolve_threshold = 0.49"), 6, "at least 0.05 below"),
        (('begin = "21:00"', 'begin = "9pm"'), 9, "a time of day"),
        (("Europe/London", "Europe/Londom"), 11, "time_zone"),
        (('code = "personal_call"', 'cod = "personal_call"'), 14, "there is no setting cod"),
        (("[quiet_hours]", "[silent_hours]"), 8, "there is no setting policies.silent_hours"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, wrong: tuple[str, str], line: int, said: str, inside: bool
) -> None:
    text = FILE.replace(*wrong, 1)
    if inside:
        # As a table of the configuration: a line later.
        text, line = "[policies]\n" + re.sub(r"(?m)^(\[\[?)", r"\1policies.", text), line + 1
    path = tmp_path / "policies.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_policies(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def test_what_is_shown_can_be_applied_again(tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    path.write_text(FILE)
    policies = load_policies(path)
    assert policies.quiet_hours.time_zone == "Europe/London"
    path.write_text(as_toml(policies))
    assert load_policies(path) == policies


def test_differences_are_told_by_key() -> None:
    found = differences(Policies(), Policies(holdout_share=0.3))
    assert [(each.key, each.before, each.after) for each in found] == [("holdout_share", 0.1, 0.3)]
    assert differences(Policies(), Policies()) == []
