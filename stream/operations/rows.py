"""Makes canonical events from flat rows, such as those of a CSV file: which column is which field, and how text
becomes a value.

A value that cannot be read is passed on as it is: the stream then says what is wrong with it in a dead letter, and
nothing is lost. Called by `sources.py` for CSV and parquet.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from stream.contracts.events import Attribution, Consent, Engagement, Event, Item, Review

_NESTED: Final[dict[str, type[msgspec.Struct]]] = {
    "review": Review,
    "consent": Consent,
    "engagement": Engagement,
    "attribution": Attribution,
}

_PLAIN: Final[dict[type[msgspec.inspect.Type], type]] = {
    msgspec.inspect.DateTimeType: datetime,
    msgspec.inspect.BoolType: bool,
    msgspec.inspect.FloatType: float,
    msgspec.inspect.IntType: int,
}


class MappingError(ValueError):
    """The columns cannot be made into events; the message says what to map."""


def _fields() -> dict[str, tuple[tuple[str, ...], type]]:
    """Path inside the event, and plain type, of every field a column can fill, by the name to map it with."""
    found: dict[str, tuple[tuple[str, ...], type]] = {}
    for field in msgspec.structs.fields(Event):
        if field.name in _NESTED:
            for inner in msgspec.structs.fields(_NESTED[field.name]):
                found[f"{field.name}.{inner.name}"] = ((field.name, inner.name), _plain(inner.type))
        found[field.name] = ((field.name,), _plain(field.type))
    for inner in msgspec.structs.fields(Item):
        found[inner.name] = (("items", inner.name), _plain(inner.type))
    return found


def _plain(annotation: Any) -> type:
    """``datetime``, ``bool``, ``float``, ``int`` or ``str``: what the text of a column has to become."""
    found = msgspec.inspect.type_info(annotation)
    kinds = {type(_bare(each)) for each in (found.types if isinstance(found, msgspec.inspect.UnionType) else (found,))}
    return next((plain for kind, plain in _PLAIN.items() if kind in kinds), str)


def _bare(found: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return found.type if isinstance(found, msgspec.inspect.Metadata) else found


FIELDS: Final = _fields()


class RowMapping:
    """Turns rows into events.

    Args:
        columns: the columns that the rows have.
        mapped: column by field, such as ``{"customer_id": "CustomerNo"}``. A column that bears a field's name needs no
            mapping.
        constants: text by field, for what no column says, such as ``{"type": "purchase"}``.
        zone: zone of times without an offset; without one they are passed on and refused by the stream.
        time_format: ``strptime`` format of times that are not ISO 8601.

    Raises:
        MappingError: an unknown field or column, or nothing for a field that every event needs.
    """

    def __init__(
        self,
        columns: Sequence[str],
        mapped: Mapping[str, str],
        constants: Mapping[str, str],
        zone: ZoneInfo | None = None,
        time_format: str | None = None,
    ) -> None:
        for field in (*mapped, *constants):
            if field not in FIELDS:
                raise MappingError(f"events have no field {field!r}{_nearest(field, FIELDS)}")
        for field, column in mapped.items():
            if column not in columns:
                raise MappingError(f"there is no column {column!r} for {field}{_nearest(column, columns)}")
        self._zone = zone
        self._time_format = time_format
        self._columns = {field: field for field in FIELDS if field in columns} | dict(mapped)
        self._constants = dict(constants)
        given = self._columns.keys() | self._constants.keys()
        for needed in ("type", "time"):
            if needed not in given:
                raise MappingError(
                    f"no column gives {needed}: map one with --map {needed}=COLUMN, or --set {needed}=VALUE"
                )
        if not given & {"customer_id", "anonymous_id"}:
            raise MappingError("no column gives customer_id or anonymous_id: map one with --map customer_id=COLUMN")

    def event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The event of one row; what is empty in the row is absent."""
        event: dict[str, Any] = {}
        for field, text in self._constants.items():
            self._put(event, field, text)
        for field, column in self._columns.items():
            value = row[column]
            if value is not None and value != "":
                self._put(event, field, value)
        return event

    def _put(self, event: dict[str, Any], field: str, value: Any) -> None:
        path, plain = FIELDS[field]
        if not isinstance(value, list | dict):
            value = self._read(value, plain)
        if len(path) == 1:
            event[path[0]] = value
        elif path[0] == "items":
            event.setdefault("items", [{}])[0][path[1]] = value
        else:
            event.setdefault(path[0], {})[path[1]] = value

    def _read(self, value: Any, plain: type) -> Any:
        try:
            if plain is datetime:
                return self._time(value)
            if plain is bool:
                return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower(), value)
            if plain is float or plain is int:
                return plain(value)
        except ValueError:
            return value
        # Spreadsheets and frames with gaps turn whole numbers into 13085.0, which is another customer than 13085.
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    def _time(self, value: Any) -> Any:
        if isinstance(value, int):
            return value
        if isinstance(value, datetime):
            moment = value
        elif self._time_format is not None:
            moment = datetime.strptime(value, self._time_format)
        elif value.strip().isdigit():
            return int(value)
        else:
            moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None and self._zone is not None:
            moment = moment.replace(tzinfo=self._zone)
        return moment.isoformat()


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
