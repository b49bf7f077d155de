# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The fast path of plain events, compiled: items looked at, carted, bought, given back or reviewed, news of messages.

It reads such an event straight from its record and folds it, to the same bytes as ``validation.read_event`` and
``fold`` do: they are the definition, and ``tests/unit/workers/test_fast_path*.py`` hold the two together. Whatever is
less plain (a rare type, an escape in a string, a field out of its bounds) it leaves to them, untouched. Where there
was no compiler, or the fold is not the one that was compiled, they do it all. Called by the engine's fast path, for the
profiles role.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_GET_LENGTH
from libc.math cimport exp2
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

import msgspec

from stream.contracts.emission import Rejected
from stream.contracts.events import Engagement, Item, Review
from stream.contracts.times import DAY_MS as _DAY_MS
from stream.contracts.times import LATEST_MS
from stream.profiles import (
    asking, baskets, bound, cart, categories, codec, decay, interactions, items, purchases, returns,
)
from stream.profiles.fold import FOLD_VERSION
from stream.profiles.lines import CENTS, each_once, line_of
from stream.profiles.validation import EARLIEST_MS, item_amount

cdef enum:
    _NOT_MINE = 0
    _FOLDED = 1
    _MOVED = 2
    _ASKS = 3

_TRIGGERS = {BROWSE: "browse", CART: "cart_emptied", PURCHASE: "purchase", RETURN: "return", REVIEW: "review"}
_decode_item = msgspec.json.Decoder(Item).decode
_decode_engagement = msgspec.json.Decoder(Engagement).decode
_decode_review = msgspec.json.Decoder(Review).decode

include "_plain_profile.pxi"
include "_plain_layout.pxi"
include "_plain_json.pxi"
include "_plain_event.pxi"
include "_plain_tables.pxi"
include "_plain_changes.pxi"
include "_plain_purchase.pxi"


cdef class PlainPath:
    """Reads and folds plain events. One for each worker: ``fold`` and ``ask`` are about what was read last.

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
    cdef Py_ssize_t longest_event, longest_id, most_items
    cdef double largest_amount
    cdef Silence silence
    # Of the event read last, whose texts lie in ``value``.
    cdef bytes value
    cdef PlainEvent event
    cdef Product product
    cdef list products_of_order
    cdef str engaged
    cdef object rating

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
        self.most_items = settings.limits.items
        self.largest_amount = settings.limits.amount
        self.silence.one_time = settings.one_time_silence_ms
        self.silence.factor = settings.silence_factor
        self.silence.shortest = settings.silence_min_ms
        self.silence.longest = settings.silence_max_ms
        self.silence.growth = settings.silence_growth
        self.silence.stop = settings.silence_stop_ms

    cpdef int64_t read(self, bytes value, bytes key, int64_t append_time, int32_t partition) except -2:
        """The time of the event in a record without headers, epoch milliseconds; -1: it is not plain.

        Args:
            value: of the record.
            key: of the record.
            append_time: of the record, epoch milliseconds.
            partition: on which the record lies.
        """
        cdef PlainEvent *event = &self.event
        if PyBytes_GET_SIZE(value) > self.longest_event or not read_event(value, self.currency, self.longest_id, event):
            return -1
        if (
            event.customer.size != PyBytes_GET_SIZE(key)
            or memcmp(event.customer.at, PyBytes_AS_STRING(key), event.customer.size) != 0
            or event.time < EARLIEST
            or event.time >= LATEST
            or event.time > append_time + self.tolerance
            or (murmur2(key) & 0x7FFFFFFF) % <uint32_t>self.partitions != <uint32_t>partition
        ):
            return -1
        self.value = value
        return event.time if self.knows_items(event) and self.knows_detail(event) else -1

    cdef bint knows_items(self, PlainEvent *event) except -1:
        """Looks the items up. False: one of them, or all together, is not to be believed."""
        cdef double amount = 0.0
        cdef bint order = event.type == PURCHASE or event.type == RETURN
        cdef int at
        if order:
            self.products_of_order = []
        for at in range(event.item_count):
            self.product = self.product_of(event.items[at])
            if self.product is None or (event.type == PURCHASE and not self.product.priced):
                return False
            amount += self.product.amount
            if order:
                self.products_of_order.append(self.product)
        return event.item_count <= self.most_items and amount <= self.largest_amount

    cdef bint knows_detail(self, PlainEvent *event) except -1:
        """What became of a message, or the rating of a review. False: it is not plain."""
        cdef bytes text
        if event.type != ENGAGEMENT and event.type != REVIEW:
            return True
        text = PyBytes_FromStringAndSize(event.detail.at, event.detail.size)
        try:
            if event.type == ENGAGEMENT:
                self.engaged = _decode_engagement(text).action
                return self.engaged != "unsubscribed"
            self.rating = _decode_review(text).rating
            return self.rating is None or 1 <= self.rating <= 5
        except msgspec.DecodeError:
            return False

    cdef Product product_of(self, Text item):
        """What is kept of an item, by its JSON; None where the item is not to be believed, or is none."""
        cdef bytes text = PyBytes_FromStringAndSize(item.at, item.size)
        cdef Product product = self.products.get(text)
        if product is not None:
            return product
        try:
            decoded = _decode_item(text)
            amount = item_amount(0, decoded, 1.0, self.settings.limits, False)
        except (msgspec.DecodeError, Rejected):
            return None
        product = Product.__new__(Product)
        line = line_of(decoded.item_id, decoded.quantity, decoded.price, decoded.item_category, 1.0 * CENTS)
        product.line = line
        packed = interactions.row(0, BROWSE, line.item, line.quantity, line.price)
        memcpy(product.tail, PyBytes_AS_STRING(packed) + ROW - TAIL, TAIL)
        product.item = line.item
        # As ``struct`` does, which refuses what is beyond a float.
        _, _, _, product.quantity, product.price = cart.ROW.unpack(cart.ROW.pack(0, 0, 0, line.quantity, line.price))
        product.cents = line.cents or 0
        product.units = line.units
        product.category = line.category
        product.amount = amount
        product.priced = decoded.price is not None
        if len(self.products) >= PRODUCTS:
            self.products.clear()
        self.products[text] = product
        return product

    cpdef int fold(self, Profile profile, int64_t offset) except -1:
        """Folds the event read last into the profile of its customer, or leaves it as it is.

        Args:
            profile: ``Profile``, changed in place.
            offset: of the record.

        Returns:
            0: the profile was not touched, ``fold`` has to do it. 1: folded. 2: folded, and its timer moved. 3: the
            same, and it raises a question: call ``ask`` before ``due``.
        """
        cdef PlainEvent *event = &self.event
        cdef int64_t last_time = profile.last_time
        cdef double[4] part
        cdef bint asks, listens = False
        if event.time < last_time - self.lateness or profile.anonymous:
            return _NOT_MINE
        event.by = crc32(event.event_id)
        if holds(profile.event_ids, event.by):
            self.duplicates += 1
            return _FOLDED
        last_time = begin(profile, event, offset)
        weigh(part, event.time, last_time)
        if event.type == BROWSE:
            browse(profile, event, self.product, part)
            asks = <int64_t>profile.browses_since_ask >= self.browse_every_n
        elif event.type == CART:
            asks = change_cart(profile, event, self.product, part, last_time - self.lateness)
        elif event.type == PURCHASE:
            purchase(profile, event, self.products_of_order, part, &self.silence)
            asks = listens = True
        elif event.type == RETURN:
            give_back(profile, event, self.products_of_order, part, &self.silence, last_time - self.lateness)
            asks = listens = True
        elif event.type == REVIEW:
            review(profile, event, self.product, self.rating, part)
            asks = True
        else:
            engage(profile, self.engaged, part)
            asks = False
        fit(profile)
        if asks and profile.personalization:
            return self.consider(profile, last_time, listens)
        return _MOVED if listens else _FOLDED

    cdef int consider(self, Profile profile, int64_t last_time, bint listens) except -1:
        """As ``asking.consider`` of who allows it, but for the request. ``listens``: the silence timer may have moved."""
        cdef int64_t asked_at = profile.asked_at, end = asked_at + self.ask_interval
        if asked_at == 0 or last_time >= end:
            return _ASKS
        if <int64_t>profile.ask_due == end:
            return _MOVED if listens else _FOLDED
        profile.ask_due = end
        return _MOVED

    def new(self, bytes key):
        """The profile of a customer not seen before, to fold the event read last into."""
        return Profile(customer_id=key.decode(), first_time=self.event.time, last_time=self.event.time)

    cpdef int64_t due(self, Profile profile) except -1:
        """As ``timers.due``."""
        cdef int64_t due = profile.ask_due, silence = profile.silence_due, end = profile.expires_at
        if silence and (not due or silence < due):
            due = silence
        return end if end and (not due or end < due) else due

    def ask(self, Profile profile, context):
        """Put the question that the event folded last raises."""
        cdef Text parent = self.event.traceparent
        traceparent = parent.at[: parent.size].decode() if parent.size else ""
        trigger = _TRIGGERS[self.event.type]
        self.emit(asking.ask(profile, trigger, profile.last_time, context.origin, traceparent), context)
