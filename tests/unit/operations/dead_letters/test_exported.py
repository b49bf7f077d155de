"""Letters go through a file and back as the same bytes, whatever they are."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.operations.dead_letters.exported import Edited, ExportError, exported
from stream.operations.dead_letters.fixes import FixFailed, original
from stream.operations.dead_letters.letters import Place
from tests.unit.operations.dead_letters.letters import event, letter

payloads = st.none() | st.binary(max_size=60) | st.text(st.characters(codec="utf-8"), max_size=30).map(str.encode)


@given(value=payloads, key=payloads, header=st.binary(max_size=20))
def test_what_is_not_touched_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, value: bytes | None, key: bytes | None, header: bytes
) -> None:
    each = letter(value, key=key, headers=[("x", header), ("x", b"2")])
    path = tmp_path_factory.getbasetemp() / "letters.jsonl"
    path.write_bytes(exported(each))
    assert path.read_bytes().count(b"\n") == 1
    with Edited(path) as edited:
        back = edited.apply(each)
    before = original(each)
    assert (back.key, back.headers) == (before.key, before.headers)
    # Of JSON the spaces may go.
    assert back.value == before.value or json.loads(back.value or b"") == json.loads(before.value or b"")


@pytest.mark.parametrize("value", [b"base64:x", b"\xff\xfe", b"{", b'{"a": NaN}', b"", b"[" * 5_000 + b"]" * 5_000])
def test_what_is_no_json_comes_back_to_the_byte(tmp_path: Path, value: bytes) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_bytes(exported(letter(value)))
    with Edited(path) as edited:
        assert edited.apply(letter(value)).value == value


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_bytes(exported(letter(b'{"price":2.50,"n":123456789012345678901234567890}')))
    with Edited(path) as edited:
        assert edited.apply(letter()).value == b'{"price":2.50,"n":123456789012345678901234567890}'


def test_each_letter_finds_its_own_line_and_what_was_typed_into_it(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    letters = [letter(event(event_id=f"e{n}"), place=Place(0, n)) for n in range(50)]
    path.write_bytes(b"\n".join(exported(each).replace(b'"tea"', b'"mug"') for each in letters))
    with Edited(path) as edited:
        assert edited.places == {each.place for each in letters}
        for each in reversed(letters):
            mended = (each.value or b"").replace(b'"tea"', b'"mug"')
            assert json.loads(edited.apply(each).value or b"") == json.loads(mended)
        with pytest.raises(FixFailed, match="no such letter"):
            edited.apply(letter(place=Place(0, 50)))


def test_a_letter_of_a_topic_that_was_made_anew_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_bytes(exported(letter(event())))
    with Edited(path) as edited, pytest.raises(FixFailed, match="no such letter"):
        edited.apply(letter(event())._replace(topic_id="another"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}\n", "line 1: no exported dead letter"),
        (exported(letter(event())) + b"x\n", "line 2: no exported dead letter"),
        (exported(letter(event())) * 2, "line 2: letter 0:17 stands in the file twice"),
        (exported(letter(b"\xff")).replace(b"base64:/w==", b"base64:!"), "line 1: .*is not base64"),
        (exported(letter(event())).replace(b"0:17", b"17"), "line 1: no exported dead letter"),
    ],
)
def test_a_file_of_something_else_is_refused_with_the_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=said):
        Edited(path)
