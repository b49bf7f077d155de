"""Expressions change what they name, and say what does not fit."""

from typing import Any

import pytest

from stream.operations.dead_letters.expressions import (
    ExpressionFailed,
    InvalidExpression,
    applied,
    read_expression,
)


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("currency=GBP", {}, {"currency": "GBP"}),
        ("$.currency = GBP", {"currency": "gbp"}, {"currency": "GBP"}),
        ("simulated=true", {}, {"simulated": True}),
        ('currency="1"', {}, {"currency": "1"}),
        ("customer_id=ada@example.org", {}, {"customer_id": "ada@example.org"}),
        ("time=@*1000", {"time": 1_306_919_520}, {"time": 1_306_919_520_000}),
        ("time=@/1000", {"time": 1_306_919_520_000_000}, {"time": 1_306_919_520_000}),
        ("time=@ - 3600000", {"time": 3_600_001}, {"time": 1}),
        ("items[*].price=number(@)", {"items": [{"price": "2.5"}]}, {"items": [{"price": 2.5}]}),
        ("items[1].price=@/100", {"items": [{}, {"price": 250}]}, {"items": [{}, {"price": 2.5}]}),
        ("items[*].q=abs(@)", {"items": [{"q": -2}, {"q": 1}]}, {"items": [{"q": 2}, {"q": 1}]}),
        ("items[0]={}", {"items": [1]}, {"items": [{}]}),
        ("customer_id=text($.shop.no)", {"shop": {"no": 13085}}, {"shop": {"no": 13085}, "customer_id": "13085"}),
        ("time=$.seconds*1000", {"seconds": 5}, {"seconds": 5, "time": 5000}),
        ("event_id=$.session_id", {"session_id": "s"}, {"session_id": "s", "event_id": "s"}),
        ("type=lower(@)", {"type": "BROWSE"}, {"type": "browse"}),
        ("currency=upper(@)", {"currency": "gbp"}, {"currency": "GBP"}),
        ("customer_id=trim(@)", {"customer_id": " a "}, {"customer_id": "a"}),
    ],
)  # fmt: skip
def test_a_field_is_set(text: str, value: Any, result: Any) -> None:
    assert applied(value, read_expression(text)) == result


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("time=@*1000", {}, "no value to compute with"),
        ("time=@*1000", {"time": "2011"}, "is no number"),
        ("time=@*1000", {"time": True}, "is no number"),
        ("price=number(@)", {"price": "cheap"}, "'cheap' is no number"),
        ("type=lower(@)", {"type": 1}, "is no text"),
        ("review.rating=5", {}, "review.rating leads nowhere"),
        ("items[0].price=1", {"items": []}, r"items\[0\].price leads nowhere"),
        ("items[*].price=1", {"items": {}}, "leads nowhere"),
        ("items[*].price=1", {"items": ["x"]}, "leads nowhere"),
        ("a=1", [], "leads nowhere"),
        ("time=@*1.5", {"time": 10**400}, "too large"),
    ],
)
def test_what_does_not_fit_fails(text: str, value: Any, said: str) -> None:
    with pytest.raises(ExpressionFailed, match=said):
        applied(value, read_expression(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time", "is not PATH=VALUE"),
        ("=1", "is no path"),
        ("items[x]=1", "is no path"),
        ("items..price=1", "is no path"),
        ("time=@/0", "divided by 0"),
        ("time=eval(@)", "there is no function eval"),
        ("a=$.items[*].price", "more than one value"),
        ("a=$.b + c", "is no computation"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidExpression, match=said):
        read_expression(text)
