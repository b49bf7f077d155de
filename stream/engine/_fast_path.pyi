from collections.abc import Callable
from typing import Any

from confluent_kafka import Message

from stream.engine.processor import Plain, Processor

def framed_changes(
    states: Any,
    touched: set[bytes],
    decoded: dict[bytes, Any],
    encode: Callable[[Any], bytes],
    due: Callable[[Any], int],
    /,
) -> dict[bytes, bytes | None]: ...

class FastPath:
    def __init__(
        self, partition: Any, plain: Plain[Any], topic: str, states: Any, steps: Any, window: list[Any], /
    ) -> None: ...
    def take(self, messages: list[Message], at: int, /) -> int: ...

class FoldPath:
    def __init__(
        self, partition: Any, processor: Processor[Any, Any], states: Any, steps: Any, window: list[Any], /
    ) -> None: ...
    def take(self, messages: list[Message], at: int, /) -> int: ...
