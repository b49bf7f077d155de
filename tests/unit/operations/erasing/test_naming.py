"""A record is about a customer by its key or by what it says, and about nobody who only looks alike."""

import json

import pytest

from stream.contracts.codec import encode
from stream.contracts.events import Event, Item
from stream.operations.erasing.naming import Naming


@pytest.mark.parametrize("value", [None, b"", b"not json", b'{"customer_id":"somebody else"}'])
def test_a_record_under_the_customer_s_key_is_about_the_customer(value: bytes | None) -> None:
    assert Naming("c-1")(b"c-1", value)


@pytest.mark.parametrize(
    "value",
    [
        b'{"customer_id":"c-1"}',
        b'{"anonymous_id":"c-1"}',
        b'{"subject":"c-1","data":{}}',
        b'{"data":{"customer_id":"c-1"}}',
        b'{"customer_id":"c-1", cut off',
    ],
)
def test_so_is_one_under_another_key_that_names_the_customer(value: bytes) -> None:
    assert Naming("c-1")(b"an-alert", value)
    assert Naming("c-1")(None, value)


def test_an_order_or_an_item_of_the_same_name_is_not_the_customer() -> None:
    other = Event("e", "purchase", 1, customer_id="c-2", transaction_id="c-1", items=[Item("c-1")])
    assert not Naming("c-1")(b"c-2", encode(other))
    assert not Naming("c-1")(b"c-2", b'{"customer_id":"c-10"}')
    assert not Naming("c-1")(b"c-10", None)


@pytest.mark.parametrize("write", [json.dumps, lambda message: json.dumps(message, ensure_ascii=False)])
def test_an_id_is_found_however_json_writes_it(write) -> None:
    assert Naming('Zoë "Z"')(None, write({"customer_id": 'Zoë "Z"'}).encode())
