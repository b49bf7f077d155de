"""Builds a tree of settings structs from layers of values, and says of every value where it came from.

It knows the shapes of structs and nothing of Tidemark's settings; `load.py` gives it the layers. Later layers win,
the environment over all of them. Whatever a layer holds that no setting takes is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from stream.configuration.marks import is_properties, is_secret, is_secret_property

DEFAULT: Final = "default"
FILE_SUFFIX: Final = "_file"
SEPARATOR: Final = "__"

S = TypeVar("S", bound=msgspec.Struct)

_ENTRY: Final = re.compile(r"`\$((?:\[\d+\]|\.\w+)+)`$")
"""Where inside a value msgspec found what is wrong."""


class ConfigurationError(ValueError):
    """A setting cannot be used; the message names where it stands, its key, and what was expected.

    Attributes:
        key: the dotted key, where it is about one.
    """

    def __init__(self, message: str = "", key: str = "") -> None:
        super().__init__(message)
        self.key = key


class Layer(NamedTuple):
    """Values of one origin."""

    name: str
    """How the origin is called in messages and in the printed view, such as ``tidemark.toml``."""
    values: Mapping[str, Any]


class Given(NamedTuple):
    """A value as some origin gave it."""

    value: Any
    origin: str
    text: bool
    """True where the value is text that stands for another type: from the environment or from a file."""


def resolve(
    settings: type[S], layers: list[Layer], environ: Mapping[str, str], prefix: str
) -> tuple[S, dict[str, str]]:
    """An instance of ``settings`` and the origin of each value by its dotted key.

    Args:
        layers: lowest first.
        environ: environment variables; those that start with ``prefix`` are settings, such as
            ``TIDEMARK__KAFKA__BOOTSTRAP_SERVERS`` for ``kafka.bootstrap_servers``.

    Raises:
        ConfigurationError: unknown key, wrong type or range, a secret where none may stand, an unreadable file.
    """
    resolver = _Resolver(layers, {name: text for name, text in environ.items() if name.startswith(prefix)}, prefix)
    built = resolver.struct(settings, None, ())
    resolver.refuse_unknown(settings)
    return built, resolver.origins


def known_keys(settings: type[msgspec.Struct], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every dotted key of a settings tree; of librdkafka's properties the table alone."""
    for field in msgspec.structs.fields(settings):
        inner = _struct_type(field.type)
        if inner is None:
            yield ".".join((*path, field.name))
        else:
            yield from known_keys(inner, (*path, field.name))


class _Resolver:
    def __init__(self, layers: list[Layer], environ: Mapping[str, str], prefix: str) -> None:
        self._layers = layers
        self._environ = environ
        self._prefix = prefix
        self._used: set[str] = set()
        self.origins: dict[str, str] = {}

    def struct(self, settings: type[S], default: S | None, path: tuple[str, ...]) -> S:
        """``default`` is what stands where nothing is given; None takes the defaults of the fields."""
        values: dict[str, Any] = {} if default is None else msgspec.structs.asdict(default)
        for field in msgspec.structs.fields(settings):
            inner = _struct_type(field.type)
            here = (*path, field.name)
            if inner is not None:
                nested = values.get(field.name, field.default)
                values[field.name] = self.struct(inner, nested if isinstance(nested, inner) else None, here)
            elif is_properties(field.type):
                values[field.name] = self._properties(here)
            else:
                given = self._secret(here) if is_secret(field.type) else self._plain(here)
                self.origins[".".join(here)] = given.origin if given else DEFAULT
                if given is not None:
                    values[field.name] = _converted(given, field.type, here)
        try:
            return settings(**values)
        except (ValueError, TypeError) as error:
            if not path:
                # What the whole tree refuses begins with its key.
                raise ConfigurationError(f"{self.origins.get(str(error).split()[0], DEFAULT)}: {error}") from error
            named = str(error).split()[0]
            inside = (*path, named) if named in settings.__struct_fields__ else path
            raise ConfigurationError(
                f"{self._origins_below(path)}: {'.'.join(path)}: {error}", ".".join(inside)
            ) from error

    def refuse_unknown(self, settings: type[msgspec.Struct]) -> None:
        keys = list(known_keys(settings))
        for layer in self._layers:
            _refuse_unknown_in(layer.name, layer.values, settings, (), keys)
        for variable in sorted(self._environ.keys() - self._used):
            key = ".".join(variable.removeprefix(self._prefix).lower().split(SEPARATOR))
            raise ConfigurationError(
                f"environment variable {variable}: there is no setting {key}{_did_you_mean(key, keys)}"
            )

    def _plain(self, path: tuple[str, ...]) -> Given | None:
        variable = self._variable(path)
        if variable in self._environ:
            self._used.add(variable)
            return Given(self._environ[variable], f"environment {variable}", True)
        for layer in reversed(self._layers):
            table = _table(layer, path[:-1])
            if path[-1] in table:
                return Given(table[path[-1]], layer.name, False)
        return None

    def _secret(self, path: tuple[str, ...]) -> Given | None:
        for layer in self._layers:
            if path[-1] in _table(layer, path[:-1]):
                raise _secret_in_file(layer.name, ".".join(path), self._variable(path))
        given = self._plain(path)
        named = self._plain((*path[:-1], path[-1] + FILE_SUFFIX))
        if given is None and named is not None:
            return _from_file(named, ".".join(path))
        return given

    def _properties(self, path: tuple[str, ...]) -> dict[str, Any]:
        """Merged over all origins, property by property."""
        merged: dict[str, Given] = {}
        for layer in self._layers:
            for name, value in _table(layer, path).items():
                if is_secret_property(name.removesuffix(FILE_SUFFIX)) and not name.endswith(FILE_SUFFIX):
                    raise _secret_in_file(layer.name, ".".join((*path, name)), self._variable((*path, name)))
                merged[name] = Given(value, layer.name, False)
        start = self._variable(path) + SEPARATOR
        for variable in sorted(self._environ):
            if variable.startswith(start):
                self._used.add(variable)
                # Names of librdkafka have dots, which no shell lets into a variable's name.
                name = variable.removeprefix(start).lower().replace("_", ".")
                stem = name.removesuffix(".file")
                name = stem + FILE_SUFFIX if stem != name and is_secret_property(stem) else name
                merged[name] = Given(self._environ[variable], f"environment {variable}", True)
        for name in [name for name in merged if name.endswith(FILE_SUFFIX)]:
            named = merged.pop(name)
            merged.setdefault(name.removesuffix(FILE_SUFFIX), _from_file(named, ".".join((*path, name))))
        for name, given in merged.items():
            key = ".".join((*path, name))
            if not isinstance(given.value, str | int | float | bool):
                raise ConfigurationError(f"{given.origin}: {key}: expected text, a number or true/false")
            self.origins[key] = given.origin
        return {name: given.value for name, given in merged.items()}

    def _variable(self, path: tuple[str, ...]) -> str:
        return self._prefix + SEPARATOR.join(part.upper().replace(".", "_") for part in path)

    def _origins_below(self, path: tuple[str, ...]) -> str:
        start = ".".join(path) + "." if path else ""
        found = {origin for key, origin in self.origins.items() if key.startswith(start) and origin != DEFAULT}
        return ", ".join(sorted(found)) or DEFAULT


def _struct_type(annotation: Any) -> type[msgspec.Struct] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) else None


def _table(layer: Layer, path: tuple[str, ...]) -> Mapping[str, Any]:
    table: Any = layer.values
    for depth, name in enumerate(path):
        table = table.get(name, {})
        if not isinstance(table, Mapping):
            key = ".".join(path[: depth + 1])
            raise ConfigurationError(f"{layer.name}: {key}: expected a table [{key}], got {table!r}", key)
    result: Mapping[str, Any] = table
    return result


def _converted(given: Given, annotation: Any, path: tuple[str, ...]) -> Any:
    value = given.value
    try:
        converted = msgspec.convert(value, annotation, strict=not given.text)
    except msgspec.ValidationError as error:
        problem = error
    else:
        _refuse_unknown_inside(value, msgspec.inspect.type_info(annotation), given.origin, ".".join(path))
        return converted
    if given.text:
        try:
            value = msgspec.json.decode(given.value)
            converted = msgspec.convert(value, annotation)
        except msgspec.DecodeError as error:
            problem = error if isinstance(error, msgspec.ValidationError) else problem
        else:
            _refuse_unknown_inside(value, msgspec.inspect.type_info(annotation), given.origin, ".".join(path))
            return converted
    shown = "" if is_secret(annotation) else f", got {given.value!r}"
    key = ".".join(path)
    if isinstance(value, list):
        _refuse_unknown_inside(value, msgspec.inspect.type_info(annotation), given.origin, key)
        # Of a list the entry that is wrong is told, not all of them.
        entry = _ENTRY.search(str(problem))
        key, shown = key + (entry[1] if entry else ""), ""
    raise ConfigurationError(f"{given.origin}: {key}: {_expectation(problem, annotation)}{shown}", key) from None


def _expectation(problem: msgspec.ValidationError, annotation: Any) -> str:
    found = msgspec.inspect.type_info(annotation)
    if isinstance(found, msgspec.inspect.LiteralType):
        return f"expected one of {', '.join(map(str, found.values))}"
    said = str(problem)
    if said.startswith("Expected "):
        return "e" + said[1:].split(", got")[0]
    return f"cannot be used: {said}"


def _from_file(named: Given, key: str) -> Given:
    try:
        text = Path(str(named.value)).read_text().strip()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"{named.origin}: {key}: cannot read the file {named.value}: {reason}") from error
    return Given(text, f"file {named.value} ({named.origin})", True)


def _secret_in_file(origin: str, key: str, variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"{origin}: {key} is a secret and may not stand in a file that is shared: set {variable}, "
        f"or name a file that holds it with {key}{FILE_SUFFIX}"
    )


def _refuse_unknown_in(
    origin: str, table: Mapping[str, Any], settings: type[msgspec.Struct], path: tuple[str, ...], keys: list[str]
) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(settings)}
    for name, value in table.items():
        field = fields.get(name)
        secret_file = fields.get(name.removesuffix(FILE_SUFFIX)) if name.endswith(FILE_SUFFIX) else None
        if field is not None:
            inner = _struct_type(field.type)
            if inner is not None:
                _refuse_unknown_in(origin, value, inner, (*path, name), keys)
        elif secret_file is None or not is_secret(secret_file.type):
            key = ".".join((*path, name))
            raise ConfigurationError(f"{origin}: there is no setting {key}{_did_you_mean(key, keys)}", key)


def _refuse_unknown_inside(value: Any, found: msgspec.inspect.Type, origin: str, key: str) -> None:
    """Refuse keys that the structs of a list do not have, such as those of ``[[policies.actions]]``."""
    match found:
        case msgspec.inspect.StructType(fields=fields) if isinstance(value, Mapping):
            names = [field.name for field in fields]
            for name in value.keys() - set(names):
                raise ConfigurationError(
                    f"{origin}: {key}: there is no setting {name}{_did_you_mean(name, names)}", f"{key}.{name}"
                )
        case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item):
            for index, each in enumerate(value):
                _refuse_unknown_inside(each, item, origin, f"{key}[{index}]")
        case _:
            pass


def _did_you_mean(key: str, keys: list[str]) -> str:
    """The nearest key or table, in the same table or under the same name in another."""
    keys = [*keys, *dict.fromkeys(known.rpartition(".")[0] for known in keys if "." in known)]
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    if not close:
        by_name = {known.rpartition(".")[2]: known for known in reversed(keys)}
        close = [by_name[name] for name in difflib.get_close_matches(key.rpartition(".")[2], by_name, n=1, cutoff=0.7)]
    return f"; did you mean {close[0]}?" if close else "; `tidemark config` lists them all"
