# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The fast path of the commonest event, compiled: a customer looks at one item, in time.

It reads such an event straight from its record and folds it, to the same bytes as ``validation.read_event`` and
``fold`` do: they are the definition, and ``tests/unit/profiles/test_browse.py`` holds the two together. Whatever is
less plain (another type, an escape in a string, a field out of its bounds) it leaves to them, untouched. Where there
was no compiler, or the fold is not the one that was compiled, they do it all. Called by the engine's fast path, for the
profiles role.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport exp2
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from zlib import crc32 as crc32_of

import msgspec

from stream.contracts.emission import Rejected
from stream.contracts.events import Item
from stream.contracts.times import LATEST_MS
from stream.profiles import asking, bound, categories, decay, interactions
from stream.profiles.fold import FOLD_VERSION
from stream.profiles.lines import CENTS, line_of
from stream.profiles.profile import Profile
from stream.profiles.validation import EARLIEST_MS, item_amount

# Compiled in. The Python beside it may be older or newer, or a field was added that this fold does not fill: then it
# would make other profiles than ``fold``. Whoever changes ``Profile`` sees to that here first.
_FOLD = 1
_FIELDS = 0xC61C4576
"""CRC-32 of the names of the profile's fields, with commas between them."""

if FOLD_VERSION != _FOLD or crc32_of(",".join(Profile.__struct_fields__).encode()) != _FIELDS:
    raise ImportError(
        f"compiled for fold version {_FOLD} of the profile that it had then, and this is version {FOLD_VERSION} or a "
        "profile with other fields"
    )

cdef extern from "Python.h":
    int PyFloat_Pack2(double value, char *at, int little_endian) except -1

cdef enum:
    _NOT_MINE = 0
    _FOLDED = 1
    _ASKS = 2

cdef int64_t ERA_MS = decay.ERA_MS
cdef double DAY = decay.HALF_LIVES[0]
cdef double WEEK = decay.HALF_LIVES[1]
cdef double MONTH = decay.HALF_LIVES[2]
cdef double QUARTER = decay.HALF_LIVES[3]
cdef Py_ssize_t ID_SIZE = bound.EVENT_ID_SIZE
cdef Py_ssize_t IDS_SIZE = bound.EVENT_IDS * bound.EVENT_ID_SIZE
cdef Py_ssize_t EVIDENCE = asking.EVIDENCE
cdef Py_ssize_t RING = interactions.CAPACITY * interactions.ROW.size
cdef Py_ssize_t TYPE_AT = interactions.TYPE_AT
cdef uint8_t BROWSE = interactions.BROWSE
cdef uint8_t PURCHASE = interactions.PURCHASE
cdef double HALF_MAX = interactions.HALF_MAX
cdef Py_ssize_t CATEGORIES = categories.CAPACITY * categories.ROW.size
cdef double BROWSED = categories.BROWSED
cdef double NOTHING = categories.NOTHING
cdef Py_ssize_t SMALL = bound.SMALL
cdef Py_ssize_t SHORT_ID = bound.SHORT_ID
cdef Py_ssize_t ROOMY = bound.CUSTOMER_BOUND - bound.RESERVE - bound.SCALARS
cdef Py_ssize_t ID_BYTES = bound.ID_BYTES
cdef int64_t EARLIEST = EARLIEST_MS
cdef int64_t LATEST = LATEST_MS

cdef enum:
    # The layouts of ``interactions.ROW`` and ``categories.ROW``.
    ROW = 19
    TAIL = 14
    CATEGORY = 12
    # Products remembered by the bytes of their item: most events look at one that others have just looked at.
    PRODUCTS = 1 << 16

assert interactions.ROW.size == ROW
assert categories.ROW.size == CATEGORY

cdef uint32_t[256] CRC
_decode_item = msgspec.json.Decoder(Item).decode


cdef void _fill_crc() noexcept:
    cdef uint32_t number, value
    cdef int bit
    for number in range(256):
        value = number
        for bit in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        CRC[number] = value


_fill_crc()


cdef struct Text:
    const char *at
    Py_ssize_t size


cdef struct Cursor:
    const char *at
    const char *end
    bint foreign  # whether a byte beyond ASCII was seen


include "_browse_json.pxi"
include "_browse_tables.pxi"


cdef class Product:
    """What a profile keeps of the item that was looked at: the end of its row in the ring, and its category."""

    cdef char[TAIL] tail
    cdef uint32_t category


cdef class BrowsePath:
    """Reads and folds plain browse events. One for each worker: ``fold`` and ``ask`` are about what was read last.

    Args:
        settings: ``ProfileSettings`` of the deployment.
        partitions: of the events topic.
        emit: writes a ``ScoreRequest`` with the context that the engine gives.

    Attributes:
        duplicates: events whose id was seen before.
    """

    cdef readonly int64_t duplicates
    cdef object settings, emit
    cdef dict products
    cdef bytes currency
    cdef int32_t partitions
    cdef int64_t lateness, tolerance, browse_every_n, ask_interval
    cdef Py_ssize_t longest_event, longest_id
    # Of the event read last; the texts lie in ``value``.
    cdef bytes value
    cdef int64_t time
    cdef Text event_id, traceparent
    cdef bint simulated
    cdef Product product

    def __init__(self, settings, int partitions, emit):
        self.duplicates = 0
        self.settings = settings
        self.emit = emit
        self.products = {}
        self.currency = settings.currency.encode()
        self.partitions = partitions
        self.lateness = settings.allowed_lateness_ms
        self.tolerance = settings.future_tolerance_ms
        self.browse_every_n = settings.browse_every_n
        self.ask_interval = settings.ask_interval_ms
        self.longest_event = settings.limits.event_bytes
        self.longest_id = settings.limits.id_length

    cpdef int64_t read(self, bytes value, bytes key, int64_t append_time, int32_t partition) except -2:
        """The time of the event in a record without headers, epoch milliseconds; -1: it is not plain.

        Args:
            value: of the record.
            key: of the record.
            append_time: of the record, epoch milliseconds.
            partition: on which the record lies.
        """
        cdef Text customer, item
        cdef int64_t time = -1
        customer.size = 0
        if PyBytes_GET_SIZE(value) > self.longest_event or not self.scan(value, &customer, &item, &time):
            return -1
        if (
            customer.size != PyBytes_GET_SIZE(key)
            or memcmp(customer.at, PyBytes_AS_STRING(key), customer.size) != 0
            or time < EARLIEST
            or time >= LATEST
            or time > append_time + self.tolerance
            or (murmur2(key) & 0x7FFFFFFF) % <uint32_t>self.partitions != <uint32_t>partition
        ):
            return -1
        self.product = self.product_of(item)
        if self.product is None:
            return -1
        self.value = value
        self.time = time
        return time

    cdef bint scan(self, bytes value, Text *customer, Text *item, int64_t *time) noexcept:
        """Finds the fields of a plain browse in the JSON of an event. False: it is something else."""
        cdef Cursor cursor
        cdef Text name, text
        cdef unsigned int seen = 0, field
        cdef bint browse = False
        cursor.at = PyBytes_AS_STRING(value)
        cursor.end = cursor.at + PyBytes_GET_SIZE(value)
        cursor.foreign = False
        self.simulated = False
        self.traceparent.size = 0
        self.event_id.size = 0
        if not token(&cursor, b"{"):
            return False
        while True:
            if not quoted(&cursor, &name) or not token(&cursor, b":"):
                return False
            spaces(&cursor)
            if is_(name, b"items", 5):
                field = 1
                if not (token(&cursor, b"[") and flat_object(&cursor, item) and token(&cursor, b"]")):
                    return False
            elif is_(name, b"simulated", 9):
                field = 2
                if word(&cursor, b"true", 4):
                    self.simulated = True
                elif not word(&cursor, b"false", 5):
                    return False
            elif is_(name, b"time", 4):
                field = 4
                if cursor.at < cursor.end and cursor.at[0] != 34:
                    time[0] = whole_number(&cursor)
                else:
                    time[0] = rfc3339(text) if quoted(&cursor, &text) else -1
                if time[0] < 0:
                    return False
            else:
                if not quoted(&cursor, &text):
                    return False
                if is_(name, b"event_id", 8):
                    field = 8
                    if text.size == 0 or text.size > self.longest_id or foreign(text):
                        return False
                    self.event_id = text
                elif is_(name, b"type", 4):
                    field = 16
                    browse = is_(text, b"browse", 6)
                elif is_(name, b"customer_id", 11):
                    field = 32
                    if text.size == 0 or text.size > self.longest_id or foreign(text):
                        return False
                    customer[0] = text
                elif is_(name, b"session_id", 10) or is_(name, b"transaction_id", 14):
                    field = 64 if name.size == 10 else 128
                    if text.size > self.longest_id:
                        return False
                elif is_(name, b"currency", 8):
                    field = 256
                    if text.size and not is_(text, PyBytes_AS_STRING(self.currency), PyBytes_GET_SIZE(self.currency)):
                        return False
                elif is_(name, b"mode", 4):
                    field = 512
                    if not is_(text, b"live", 4):
                        return False
                elif is_(name, b"traceparent", 11):
                    field = 1024
                    self.traceparent = text
                elif is_(name, b"channel", 7):
                    field = 2048
                elif is_(name, b"country", 7):
                    field = 4096
                else:
                    return False
            if seen & field:
                return False
            seen |= field
            if token(&cursor, b","):
                continue
            if not token(&cursor, b"}"):
                return False
            break
        spaces(&cursor)
        # The item, the time, an id, the type and the customer are what it cannot do without.
        if cursor.at != cursor.end or not browse or seen & (1 | 4 | 8 | 32) != (1 | 4 | 8 | 32):
            return False
        return not cursor.foreign or utf8(value)

    cdef Product product_of(self, Text item):
        """What is kept of an item, by its JSON; None where the item is not to be believed, or is none."""
        cdef bytes text = PyBytes_FromStringAndSize(item.at, item.size)
        cdef Product product = self.products.get(text)
        if product is not None:
            return product
        try:
            decoded = _decode_item(text)
            if item_amount(0, decoded, 1.0, self.settings.limits, False) > self.settings.limits.amount:
                return None
        except (msgspec.DecodeError, Rejected):
            return None
        line = line_of(decoded.item_id, decoded.quantity, decoded.price, decoded.item_category, 1.0 * CENTS)
        product = Product.__new__(Product)
        packed = interactions.row(0, BROWSE, line.item, line.quantity, line.price)
        memcpy(product.tail, PyBytes_AS_STRING(packed) + ROW - TAIL, TAIL)
        product.category = line.category
        if len(self.products) >= PRODUCTS:
            self.products.clear()
        self.products[text] = product
        return product

    cpdef int fold(self, profile, int64_t offset) except -1:
        """Folds the event read last into the profile of its customer, or leaves it as it is.

        Args:
            profile: ``Profile``, changed in place.
            offset: of the record.

        Returns:
            0: the profile was not touched, ``fold`` has to do it. 1: folded. 2: folded, and enough was looked at since
            the last question: call ``ask``.
        """
        cdef int64_t time = self.time
        cdef int64_t last_time = profile.last_time
        cdef bytes event_ids = profile.event_ids
        cdef bytes evidence
        cdef bytes ring = profile.interactions
        cdef Product product = self.product
        cdef Py_ssize_t size = PyBytes_GET_SIZE(ring)
        cdef uint32_t by, seconds
        cdef char[ROW] row
        cdef double[4] part
        cdef double since
        cdef int64_t asked_at, due
        cdef int at
        if (
            time < last_time - self.lateness
            or time // ERA_MS != last_time // ERA_MS
            or profile.anonymous
            or size > RING
            or (size == RING and <uint8_t>PyBytes_AS_STRING(ring)[TYPE_AT] == PURCHASE)
        ):
            return _NOT_MINE
        by = crc32(self.event_id)
        if holds(event_ids, by):
            self.duplicates += 1
            return _FOLDED
        seconds = <uint32_t>(time // 1000)
        for at in range(4):
            row[at] = <char>(seconds >> (24 - 8 * at))
        row[4] = <char>BROWSE
        memcpy(row + ROW - TAIL, product.tail, TAIL)
        if size and memcmp(PyBytes_AS_STRING(ring) + size - ROW, row, ROW) > 0:
            return _NOT_MINE

        if time > last_time:
            profile.last_time = last_time = time
        elif time < <int64_t>profile.first_time:
            profile.first_time = time
        profile.event_ids = event_ids = appended(event_ids, <char *>&by, ID_SIZE, IDS_SIZE)
        if <int64_t>profile.first_offset < 0:
            profile.first_offset = offset
        profile.evidence = evidence = with_evidence(profile.evidence, self.event_id)
        if self.simulated:
            profile.simulated = True
        profile.mode = "live"
        profile.browses += 1
        # As ``decay.weights``: both times are positive, so that C's remainder is Python's.
        since = <double>(time - last_time + last_time % ERA_MS)
        part[0] = exp2(since / DAY)
        part[1] = exp2(since / WEEK)
        part[2] = exp2(since / MONTH)
        part[3] = exp2(since / QUARTER)
        profile.browse_counts = counted(profile.browse_counts, part)
        if product.category:
            profile.categories = leaned(profile.categories, product.category, BROWSED * part[3])
        profile.interactions = ring = appended(ring, row, ROW, RING)
        looked_at = profile.browses_since_ask + 1
        profile.browses_since_ask = looked_at
        fit(profile, PyBytes_GET_SIZE(event_ids) + PyBytes_GET_SIZE(ring) + PyBytes_GET_SIZE(evidence))
        if <int64_t>looked_at < self.browse_every_n:
            return _FOLDED
        # As ``asking.consider`` while the interval lasts: its end is set as a timer, and nothing happens if it is.
        asked_at = profile.asked_at
        due = asked_at + self.ask_interval
        return _FOLDED if asked_at and last_time < due and <int64_t>profile.ask_due == due else _ASKS

    def new(self, bytes key):
        """The profile of a customer not seen before, to fold the event read last into."""
        return Profile(customer_id=key.decode(), first_time=self.time, last_time=self.time)

    def ask(self, profile, context):
        """Put the question that the event folded last raises, unless it has to wait, or is not allowed."""
        traceparent = self.traceparent.at[: self.traceparent.size].decode() if self.traceparent.size else ""
        request = asking.consider(profile, "browse", context.origin, self.settings, traceparent)
        if request is not None:
            self.emit(request, context)
