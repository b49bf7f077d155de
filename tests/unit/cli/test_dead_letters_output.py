"""`tidemark dead-letters` at 80 columns, where no Kafka is needed."""

import pytest

from stream.cli import dead_letters_view
from stream.cli.app import main
from stream.cli.dead_letters_view import show_change, show_done, show_letter, show_listed, typed
from stream.contracts.settlements import Settlement
from stream.operations.dead_letters.fixes import Change, original
from stream.operations.dead_letters.groups import Group
from stream.operations.dead_letters.redrive import Done
from stream.operations.dead_letters.survey import Listed
from tests.unit.operations.dead_letters.letters import NOW, event, judge, letter

GROUPS = [
    Group("unknown_currency", "$.items[*].item_category5", 1_234_567, 0, NOW, "12:12345678", "no rate from EUR"),
    Group("too_late", "", 1, NOW, NOW, "0:1", "90 h behind"),
]


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["dead-letters", *arguments])
    return int(ended.value.code or 0)


def _widest(shown: str) -> int:
    return max(map(len, shown.splitlines()))


def test_a_list_has_a_line_for_each_reason_and_says_what_was_settled(capsys: pytest.CaptureFixture[str]) -> None:
    show_listed(Listed(GROUPS, {"open": 1_234_568, "redriven": 5}), "open")
    shown = capsys.readouterr().out
    assert "1,234,568 open, 5 redriven, 0 discarded" in shown
    assert "tidemark dead-letters show 12:12345678" in shown
    assert _widest(shown) <= 80


def test_an_empty_list_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_listed(Listed([], {}), "open")
    assert capsys.readouterr().out == "0 open, 0 redriven, 0 discarded\n"


def test_a_letter_is_shown_with_its_payload_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    late = letter(event(), "too_late", message="90 h behind", headers=[("x", b"\x1b[31m")])
    show_letter(late, None, None)
    shown = capsys.readouterr().out
    for words in ("0:17  too_late", "90 h behind", "from customer.events.v1:1:7", '"item_id": "tea"', "accepts it now"):
        assert words in shown
    assert "\x1b" not in shown


def test_a_payload_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_letter(letter(b"\x1b[2J\xff\x07\x9b", "not_json", field="\x1b[5n", message="\x1b]0;x"), None, None)
    assert not {"\x1b", "\x07", "\x9b"} & set(capsys.readouterr().out)


def test_a_long_payload_is_cut_on_the_screen_alone(capsys: pytest.CaptureFixture[str]) -> None:
    show_letter(letter(event(items=[{"item_id": "tea"}] * 500), "out_of_range"), None, None)
    shown = capsys.readouterr().out
    assert "more lines: `tidemark dead-letters export 0:17` has all" in shown
    assert len(shown.splitlines()) < dead_letters_view.SHOWN_LINES + 20


def test_a_line_that_does_not_end_is_cut_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    show_letter(letter(b"x" * 900_000, "not_json"), None, None)
    shown = capsys.readouterr().out
    assert "899,000 more characters" in shown
    assert len(shown) < 3_000


def test_a_settled_letter_says_by_whom_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    show_letter(letter(event()), Settlement("redriven", NOW, "too_late", "", "r", "ada", fix="time=1"), None)
    assert "redriven 2027-01-15 08:00 by ada, time=1" in capsys.readouterr().out


def test_a_change_is_shown_as_a_difference_with_the_verdict_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    broken, change = letter(event(time=5), "out_of_range"), Change(expressions=["time=6"])
    refusal = judge().refusal(broken, change, NOW)
    show_change(broken, original(broken), change.apply(broken), None, refusal)
    shown = capsys.readouterr().out
    assert '-  "time": 5,\n+  "time": 6,' in shown
    assert "it cannot be put back (out_of_range at $.time)" in shown
    assert "what mends most" in shown


def test_a_change_far_to_the_right_is_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    long, change = letter(event(session_id="s" * 5_000)), Change(expressions=["session_id=" + "s" * 5_000 + "t"])
    show_change(long, original(long), change.apply(long), None, None)
    shown = capsys.readouterr().out
    assert "nothing is changed" not in shown
    assert shown.count("more characters") == 2


def test_a_change_that_does_not_fit_is_said_without_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    broken, change = letter(b"{"), Change("{}")
    show_change(broken, original(broken), None, None, judge().refusal(broken, change, NOW))
    shown = capsys.readouterr().out
    assert "fix_failed" in shown
    assert "@@" not in shown


def test_what_is_typed_replaces_the_payload_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[str] = []

    def editor(text: str, extension: str) -> str:
        offered.append(text)
        return text.replace("5", "6")

    monkeypatch.setattr("click.edit", editor)
    broken = letter(b'{"time":5}', headers=[("x", b"1")])
    payload = typed(broken).apply(broken)
    assert offered == ['{\n  "time": 5\n}']
    assert payload == (b"ada", b'{"time":6}', (("x", b"1"),))


def test_an_editor_that_saves_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.edit", lambda text, extension: None)
    broken = letter(b'{ "time":5}')
    assert typed(broken).apply(broken) == original(broken)


def test_a_try_says_what_would_happen_and_that_nothing_did(capsys: pytest.CaptureFixture[str]) -> None:
    show_done(Done("r1", False, 3, {"too_late": 3}, GROUPS, 2), "re-driven", "the same command with --apply does it")
    shown = capsys.readouterr().out
    assert "3 letters would be re-driven: 3 too_late" in shown
    assert "2 of the letters named are not open" in shown
    assert "left open, 1,234,568 letters:" in shown
    assert "nothing was written: the same command with --apply does it" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--code", "late"], "there is no code 'late'"),
        (["list", "--origin", "evnts"], "did you mean events?"),
        (["list", "--since", "yesterday"], "'yesterday' is no moment"),
        (["show", "17"], "'17' is no dead letter: PARTITION:OFFSET"),
        (["redrive", "--patch", "{"], "the patch is not JSON"),
        (["redrive", "--set", "time"], "is not PATH=VALUE"),
        (["redrive", "--from", "x.jsonl", "--rekey"], "leave out the others"),
        (["discard", "--reason", "test", "--apply"], "say which letters, or --all"),
        (["discard", "0:1", "--all", "--reason", "test"], "say which letters, or --all"),
        (["discard", "0:1"], "Missing option '--reason'"),
    ],
)
def test_wrong_usage_is_said_before_kafka_is_asked(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_not_there_ends_with_five(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("redrive", "--from", "nowhere.jsonl") == 5
    assert "nowhere.jsonl does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "show", "export", "edit", "redrive", "discard"])
def test_help_fits_into_80_columns(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(command, "--help") == 0
    assert _widest(capsys.readouterr().out) <= 80
