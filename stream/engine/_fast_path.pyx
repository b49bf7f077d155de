# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The fast path of one partition, compiled: a record that the processor can read and fold by itself.

It does what ``Intake`` and ``Partition.process`` do with such a record, without the objects on the way; whatever is
not so plain it leaves to them, untouched. Called by ``Intake``, which sees to the order.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from stream.contracts.emission import Origin, Rejected
from stream.engine.position import HEADER_BYTES
from stream.engine.processor import NewerState, Processor, Record
from stream.engine.timers import FOREVER

_new = tuple.__new__

cdef enum:
    NOT_MINE = 0
    FOLDED = 1
    MOVED = 2
    ASKS = 3


assert HEADER_BYTES == 8


def framed_changes(states, set touched, dict decoded, encode, due) -> dict:
    """As ``States.framed`` for each key of ``touched``, where none is muted and none waits for a signal.

    Args:
        states: asked for what is too large, which it refuses.
        encode: bytes of a state.
        due: when a state wants to be called next, epoch milliseconds.
    """
    cdef dict changes = {}
    cdef bytes encoded, framed
    cdef char *header
    cdef int64_t moment, most = states.max_bytes
    cdef Py_ssize_t size
    cdef int place
    for key in touched:
        state = decoded[key]
        if state is None:
            changes[key] = None
            continue
        encoded = encode(state)
        moment = due(state)
        size = PyBytes_GET_SIZE(encoded)
        framed = PyBytes_FromStringAndSize(NULL, 8 + size)
        header = PyBytes_AS_STRING(framed)
        for place in range(8):
            header[place] = <char>(moment >> (56 - 8 * place))
        memcpy(header + 8, PyBytes_AS_STRING(encoded), size)
        changes[key] = framed if size + 8 <= most else states.framed(key)
    return changes


cdef class _Path:
    """What both ways into a partition have and do alike.

    Args:
        partition: ``Partition``; its states, timers and outputs are changed as by ``process``.
        topic: of the input.
        states, steps, window: of the partition.
    """

    cdef object partition, states, timers, steps, context, topic
    cdef dict decoded
    cdef set touched
    cdef list window
    cdef int number

    def __init__(self, partition, str topic, states, steps, list window):
        self.partition = partition
        self.topic = topic
        self.states = states
        self.timers = states.timers
        self.steps = steps
        self.context = partition.context
        self.decoded = states.decoded
        self.touched = states.touched
        self.window = window
        self.number = partition.number

    cpdef Py_ssize_t take(self, list messages, Py_ssize_t at) except -1:
        """Fold the records from ``at`` on, as far as they are this partition's and nothing is special about them.

        Args:
            messages: ``confluent_kafka.Message`` each, as they were consumed; none before them is pending.

        Returns:
            Place of the first one that was not folded: at most those timers were fired that are due before it.

        Raises:
            NewerState: record or state were written by a newer version.
        """
        cdef Py_ssize_t end = len(messages)
        while at < end:
            message = messages[at]
            if message.error() is not None or <int>message.partition() != self.number or not self._take(message):
                break
            at += 1
        return at

    cdef bint _take(self, message) except -1:
        raise NotImplementedError

    cdef bint _is_next(self, int64_t offset) except -1:
        """Whether nothing stands in the way of a record at ``offset``, and it was not folded before."""
        cdef int64_t next_offset = self.partition.next_offset
        return not (
            self.steps.careful or self.states.muted or self.partition.unfinished is not None
            or <int64_t>self.partition.condemned_offset >= next_offset or offset < next_offset
        )

    cdef int _folded(self, message, int64_t offset, int64_t behind) except -1:
        """The record is folded; it was appended ``behind`` milliseconds after its event time."""
        self.partition.uncommitted += 1
        self.partition.behind = behind
        self.partition.next_offset = offset + 1
        self.window.append(message)
        return 0


cdef class FastPath(_Path):
    """Takes plain records in for one partition.

    Args:
        partition: ``Partition``; its states, timers and outputs are changed as by ``process``.
        plain: the processor's part; see ``processor.Plain``.
        states, steps, window: of the partition.
    """

    cdef object plain

    def __init__(self, partition, plain, str topic, states, steps, list window):
        super().__init__(partition, topic, states, steps, window)
        self.plain = plain

    cdef bint _take(self, message) except -1:
        cdef object partition = self.partition, value = message.value(), key = message.key(), state, heap, due
        cdef int64_t offset = message.offset(), time, append_time, moved_to
        cdef int code
        if (
            type(value) is not bytes or type(key) is not bytes or message.headers()
            or not self._is_next(offset)
        ):
            return False
        append_time = message.timestamp()[1]
        try:
            time = self.plain.read(value, key, append_time, self.number)
        except MemoryError:
            raise
        except Exception:
            # Nothing was touched: the long way finds the same, and says what it is.
            return False
        if time < 0:
            return False
        moved_to = partition.moved_to
        if time > moved_to:
            heap = self.timers.heap
            if time >= <int64_t>self.timers.horizon or (heap and <int64_t>heap[0][0] <= time):
                if not partition.move_for(_new(Origin, (self.topic, self.number, offset)), time):
                    return False
                moved_to = time
        else:
            due = self.states.due_of(key)
            if due and <int64_t>due <= time:
                return False
        try:
            state = self.decoded.get(key)
            if state is None:
                state = self.states.get(key)
                if state is None:
                    state = self.plain.new(key)
        except (NewerState, MemoryError):
            raise
        except Exception:
            return False
        try:
            code = self.plain.fold(state, offset)
            if code == NOT_MINE:
                return False
            if time > moved_to:
                self.context.time = partition.moved_to = time
                if time >= <int64_t>partition.announce_at:
                    self.context.origin = _new(Origin, (self.topic, self.number, offset))
                    partition.announce(time)
            self.decoded[key] = state
            self.touched.add(key)
            if code == ASKS:
                self.context.origin = _new(Origin, (self.topic, self.number, offset))
                self.plain.ask(state, self.context)
            if code >= MOVED:
                self.timers.set(key, self.plain.due(state))
        except (NewerState, MemoryError):
            raise
        except Exception:
            self.states.spoil(key)
            partition.start_over()
            return False
        self._folded(message, offset, append_time - time)
        return True


cdef class FoldPath(_Path):
    """Takes records in for one partition whose processor has no compiled fold: what it saves are the objects and calls
    on the way to ``Processor.fold``.

    Args:
        partition: ``Partition``; its states, timers and outputs are changed as by ``process``.
        processor: without a stage.
        states, steps, window: of the partition.
    """

    cdef object parse, fold, due
    cdef bint waits

    def __init__(self, partition, processor, states, steps, list window):
        super().__init__(partition, processor.input_topic, states, steps, window)
        self.parse = processor.parse
        self.fold = processor.fold
        self.due = processor.due
        self.waits = type(processor).waiting is not Processor.waiting

    cdef bint _take(self, message) except -1:
        cdef object partition = self.partition, parsed, key, state, after, heap, due
        cdef int64_t offset = message.offset(), time, append_time, moved_to
        if not self._is_next(offset):
            return False
        append_time = message.timestamp()[1]
        try:
            parsed = self.parse(
                Record(
                    self.topic, self.number, offset, append_time, message.key(), message.value(),
                    message.headers() or (),
                )
            )
            key = parsed.key
            if key is None or parsed.signal:
                return False
            state = self.decoded.get(key)
            if state is None:
                state = self.states.get(key)
        except (NewerState, MemoryError):
            raise
        except Exception:
            # Nothing was touched: the long way finds the same, and says what it is.
            return False
        time = parsed.time
        moved_to = partition.moved_to
        heap = self.timers.heap
        if time > moved_to:
            if time >= <int64_t>self.timers.horizon or (heap and <int64_t>heap[0][0] <= time):
                return False
        else:
            due = self.states.due_of(key)
            if due and <int64_t>due <= time:
                return False
        self.context.origin = _new(Origin, (self.topic, self.number, offset))
        try:
            if time > moved_to:
                self.context.time = partition.moved_to = time
                if time >= <int64_t>partition.announce_at:
                    partition.announce(time)
            after = self.fold(state, parsed, None, self.context)
            if after is None or self.waits or heap or self.timers.horizon != FOREVER or self.due(after):
                self.states.keep(key, after)
            else:
                self.decoded[key] = after
                self.touched.add(key)
        except (NewerState, MemoryError):
            raise
        except Rejected:
            # Before it changed anything, as a processor has promised.
            return False
        except Exception:
            self.states.spoil(key)
            partition.start_over()
            return False
        self._folded(message, offset, append_time - time)
        return True
