"""Whose an event is, and what a refusal says."""

import pytest

from stream.contracts.emission import Rejected
from stream.contracts.events import Event


@pytest.mark.parametrize(
    ("customer", "visitor", "subject"), [("c", "v", "c"), ("c", "", "c"), ("", "v", "v"), ("", "", "")]
)
def test_an_event_is_the_customers_else_the_visitors(customer: str, visitor: str, subject: str) -> None:
    assert Event("e", "browse", 0, customer_id=customer, anonymous_id=visitor).subject == subject


def test_a_refusal_says_what_and_where() -> None:
    refusal = Rejected("out_of_range", "price is -1: send 0 or more", "$.items[0].price")
    assert str(refusal) == "out_of_range: price is -1: send 0 or more ($.items[0].price)"
    assert str(Rejected("not_json", "send JSON")) == "not_json: send JSON"
