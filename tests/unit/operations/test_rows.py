"""Flat rows to events: which column is which field, and how text becomes a value."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from stream.operations.rows import MappingError, RowMapping

NEEDED = ["type", "time", "customer_id"]


def event(row: dict[str, object], **options: object) -> dict[str, object]:
    mapping = RowMapping([*NEEDED, *row], options.pop("mapped", {}), options.pop("constants", {}), **options)  # type: ignore[arg-type]
    return mapping.event({"type": "purchase", "time": "2024-05-01T10:00:00+00:00", "customer_id": "c1", **row})


def test_columns_that_bear_a_fields_name_are_that_field() -> None:
    made = event({"item_id": "p1", "price": "2.50", "quantity": "3", "review.rating": "5", "colour": "red"})
    assert made["items"] == [{"item_id": "p1", "price": 2.5, "quantity": 3.0}]
    assert made["review"] == {"rating": 5.0}
    assert "colour" not in made


def test_a_mapped_column_is_the_field_and_a_constant_fills_in() -> None:
    mapping = RowMapping(
        ["When", "Who", "Sku"], {"time": "When", "customer_id": "Who", "item_id": "Sku"}, {"type": "browse"}
    )
    made = mapping.event({"When": "2024-05-01T10:00:00Z", "Who": 7.0, "Sku": "p1"})
    assert made == {
        "type": "browse",
        "time": "2024-05-01T10:00:00+00:00",
        "customer_id": "7",
        "items": [{"item_id": "p1"}],
    }


@pytest.mark.parametrize("empty", ["", None])
def test_what_is_empty_in_the_row_is_absent_in_the_event(empty: object) -> None:
    assert event({"session_id": empty, "price": empty}) == event({})


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ("2024-05-01T10:00:00+02:00", {}, "2024-05-01T10:00:00+02:00"),
        ("2024-05-01 10:00", {"zone": ZoneInfo("Europe/London")}, "2024-05-01T10:00:00+01:00"),
        ("01/05/2024 10:00", {"zone": UTC, "time_format": "%d/%m/%Y %H:%M"}, "2024-05-01T10:00:00+00:00"),
        (datetime(2024, 1, 1, 10), {"zone": ZoneInfo("Europe/London")}, "2024-01-01T10:00:00+00:00"),
        ("1714557600000", {}, 1714557600000),
        (1714557600000, {}, 1714557600000),
        ("last Tuesday", {}, "last Tuesday"),
    ],
)
def test_times(given: object, options: dict[str, object], expected: object) -> None:
    assert event({"time": given}, **options)["time"] == expected


@pytest.mark.parametrize(
    ("given", "expected"), [(13085.0, "13085"), (13085, "13085"), ("013085", "013085"), (1.5, "1.5")]
)
def test_ids_are_text_and_whole_numbers_have_no_fraction(given: object, expected: str) -> None:
    assert event({"customer_id": given})["customer_id"] == expected


def test_a_number_that_is_none_is_passed_on_for_the_stream_to_refuse() -> None:
    assert event({"item_id": "p", "price": "n/a"})["items"] == [{"item_id": "p", "price": "n/a"}]


def test_nested_columns_pass_through() -> None:
    items = [{"item_id": "p1"}, {"item_id": "p2"}]
    assert event({"items": items})["items"] == items


@pytest.mark.parametrize(("given", "expected"), [("true", True), ("0", False), (True, True), ("maybe", "maybe")])
def test_booleans(given: object, expected: object) -> None:
    assert event({"simulated": given})["simulated"] == expected


@pytest.mark.parametrize(
    ("columns", "mapped", "constants", "message"),
    [
        (NEEDED, {"custmer_id": "customer_id"}, {}, "did you mean 'customer_id'?"),
        (NEEDED, {"item_id": "Sku"}, {}, "there is no column 'Sku' for item_id"),
        (NEEDED, {}, {"kind": "browse"}, "events have no field 'kind'"),
        (["time", "customer_id"], {}, {}, "--set type=VALUE"),
        (["type", "customer_id"], {}, {}, "--map time=COLUMN"),
        (["type", "time"], {}, {}, "customer_id or anonymous_id"),
    ],
)
def test_a_mapping_that_makes_no_event_is_refused(
    columns: list[str], mapped: dict[str, str], constants: dict[str, str], message: str
) -> None:
    with pytest.raises(MappingError) as caught:
        RowMapping(columns, mapped, constants)
    assert message in str(caught.value)
