"""Patches do what the RFCs say, to a copy, all or nothing."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.operations.dead_letters.json_patch import InvalidPatch, PatchFailed, check_patch, merged, patched

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        # RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_of_the_rfc(value: Any, patch: Any, result: Any) -> None:
    assert merged(value, patch) == result


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        # RFC 6902, appendix A.
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        (
            {"foo": ["bar", "baz"]},
            [{"op": "add", "path": "/foo/1", "value": "qux"}],
            {"foo": ["bar", "qux", "baz"]},
        ),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "qux"}], {"baz": "qux"}),
        ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"x": {}}}], {"foo": "bar", "child": {"x": {}}}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": [2]}], [2]),
    ],
)
def test_json_patches_of_the_rfc(value: Any, patch: list[Any], result: Any) -> None:
    before = copy.deepcopy(value)
    check_patch(patch)
    assert patched(value, patch) == result
    assert value == before


@pytest.mark.parametrize(
    ("value", "patch"),
    [
        ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}]),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": True}]),
        ({"a": [1]}, [{"op": "test", "path": "/a", "value": [True]}]),
        ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}]),
        ({"a": [1]}, [{"op": "add", "path": "/a/2", "value": 1}]),
        ({"a": [1]}, [{"op": "remove", "path": "/a/01"}]),
        ({"a": [1]}, [{"op": "remove", "path": "/a/-"}]),
        ({}, [{"op": "replace", "path": "/a", "value": 1}]),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}]),
    ],
)
def test_what_does_not_fit_fails_and_changes_nothing(value: Any, patch: list[Any]) -> None:
    before = copy.deepcopy(value)
    check_patch(patch)
    with pytest.raises(PatchFailed):
        patched(value, patch)
    assert value == before


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ([1], "operation 0: op must be one of"),
        ([{"op": "alter", "path": "/a"}], "op must be one of"),
        ([{"op": "add", "path": "/a"}], "add needs value"),
        ([{"op": "move", "path": "/a"}], "move needs from"),
        ([{"op": "remove", "path": "a"}], "is no JSON Pointer"),
    ],
)
def test_what_is_no_patch_is_refused_before_anything_is_touched(patch: list[Any], said: str) -> None:
    with pytest.raises(InvalidPatch, match=said):
        check_patch(patch)


@given(json_values, json_values)
def test_to_replace_the_whole_gives_the_new_and_a_test_of_it_holds(old: Any, new: Any) -> None:
    assert patched(old, [{"op": "replace", "path": "", "value": new}, {"op": "test", "path": "", "value": new}]) == new


@given(json_values)
def test_an_empty_patch_of_an_object_changes_nothing(value: Any) -> None:
    assert patched(value, []) == value
    if isinstance(value, dict):
        assert merged(value, {}) == value
