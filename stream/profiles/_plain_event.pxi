# A plain event in the JSON of its record, field by field. Part of ``_plain.pyx``.

cdef enum Field:
    # What was seen of an event, as bits.
    ITEMS = 1
    SIMULATED = 2
    TIME = 4
    EVENT_ID = 8
    TYPE = 16
    CUSTOMER_ID = 32
    SESSION_ID = 64
    TRANSACTION_ID = 128
    CURRENCY = 256
    MODE = 512
    TRACEPARENT = 1024
    CHANNEL = 2048
    COUNTRY = 4096
    ACTION = 8192
    ENGAGED = 16384
    REVIEWED = 32768
    # What no event can do without.
    NEEDED = 4 | 8 | 16 | 32


cdef inline int field_of(Text name) noexcept:
    """The field of that name; 0: it is none of a plain event's."""
    if is_(name, b"items", 5):
        return ITEMS
    if is_(name, b"time", 4):
        return TIME
    if is_(name, b"type", 4):
        return TYPE
    if is_(name, b"event_id", 8):
        return EVENT_ID
    if is_(name, b"customer_id", 11):
        return CUSTOMER_ID
    if is_(name, b"session_id", 10):
        return SESSION_ID
    if is_(name, b"transaction_id", 14):
        return TRANSACTION_ID
    if is_(name, b"currency", 8):
        return CURRENCY
    if is_(name, b"channel", 7):
        return CHANNEL
    if is_(name, b"simulated", 9):
        return SIMULATED
    if is_(name, b"mode", 4):
        return MODE
    if is_(name, b"traceparent", 11):
        return TRACEPARENT
    if is_(name, b"country", 7):
        return COUNTRY
    if is_(name, b"action", 6):
        return ACTION
    if is_(name, b"engagement", 10):
        return ENGAGED
    if is_(name, b"review", 6):
        return REVIEWED
    return 0


cdef bint read_event(bytes value, bytes currency, Py_ssize_t longest_id, PlainEvent *event) noexcept:
    """Finds the fields of a plain event in its JSON. False: it is something else."""
    cdef Cursor cursor
    cdef Text name
    cdef int seen = 0, field
    cursor.at = PyBytes_AS_STRING(value)
    cursor.end = cursor.at + PyBytes_GET_SIZE(value)
    cursor.foreign = False
    event.type = OTHER
    event.action = NO_ACTION
    event.simulated = False
    event.traceparent.size = 0
    event.order.size = 0
    event.item_count = 0
    if not token(&cursor, b"{"):
        return False
    while True:
        if not quoted(&cursor, &name) or not token(&cursor, b":"):
            return False
        field = field_of(name)
        if field == 0 or seen & field or not read_field(&cursor, field, currency, longest_id, event):
            return False
        seen |= field
        if token(&cursor, b","):
            continue
        if not token(&cursor, b"}"):
            return False
        break
    spaces(&cursor)
    if cursor.at != cursor.end or seen & NEEDED != NEEDED or not has_content(event, seen):
        return False
    return not cursor.foreign or utf8(value)


cdef inline bint read_field(
    Cursor *cursor, int field, bytes currency, Py_ssize_t longest_id, PlainEvent *event
) noexcept:
    """The value of a field. False: it is not plain."""
    cdef Text text
    spaces(cursor)
    if field == ITEMS:
        return read_items(cursor, event)
    if field == ENGAGED or field == REVIEWED:
        return flat_object(cursor, &event.detail)
    if field == SIMULATED:
        event.simulated = word(cursor, b"true", 4)
        return event.simulated or word(cursor, b"false", 5)
    if field == TIME and cursor.at < cursor.end and cursor.at[0] != 34:
        event.time = whole_number(cursor)
        return event.time >= 0
    if not quoted(cursor, &text):
        return False
    if field == TIME:
        event.time = rfc3339(text)
        return event.time >= 0
    if field == TYPE:
        event.type = type_of(text)
        return event.type != OTHER
    if field == EVENT_ID:
        event.event_id = text
        return 0 < text.size <= longest_id and not foreign(text)
    if field == CUSTOMER_ID:
        event.customer = text
        return 0 < text.size <= longest_id and not foreign(text)
    if field == TRANSACTION_ID:
        event.order = text
        return text.size <= longest_id
    if field == SESSION_ID:
        return text.size <= longest_id
    if field == CURRENCY:
        return text.size == 0 or is_(text, PyBytes_AS_STRING(currency), PyBytes_GET_SIZE(currency))
    if field == MODE:
        return is_(text, b"live", 4)
    if field == TRACEPARENT:
        event.traceparent = text
        return True
    if field == ACTION:
        event.action = action_of(text)
        return event.action != NO_ACTION
    # The channel and the country, of which the fold makes nothing.
    return True


cdef inline bint read_items(Cursor *cursor, PlainEvent *event) noexcept:
    """The items, at least one. False: they are not plain, or too many."""
    event.item_count = 0
    if not token(cursor, b"["):
        return False
    while event.item_count < MOST_ITEMS and flat_object(cursor, &event.items[event.item_count]):
        event.item_count += 1
        if token(cursor, b"]"):
            return True
        if not token(cursor, b","):
            return False
    return False


cdef inline Type type_of(Text text) noexcept:
    if is_(text, b"browse", 6):
        return BROWSE
    if is_(text, b"cart", 4):
        return CART
    if is_(text, b"purchase", 8):
        return PURCHASE
    if is_(text, b"engagement", 10):
        return ENGAGEMENT
    if is_(text, b"return", 6):
        return RETURN
    if is_(text, b"review", 6):
        return REVIEW
    return OTHER


cdef inline Action action_of(Text text) noexcept:
    """What was done to the cart. To clear it needs no items, and is not plain."""
    if is_(text, b"add", 3):
        return ADD
    if is_(text, b"remove", 6):
        return REMOVE
    if is_(text, b"set", 3):
        return SET
    return NO_ACTION


cdef inline bint has_content(PlainEvent *event, int seen) noexcept:
    """Whether it has what its type cannot do without, and nothing that would have to be looked at besides."""
    cdef int content = seen & (ENGAGED | REVIEWED | ITEMS)
    if event.type == ENGAGEMENT:
        return content == ENGAGED
    if event.type == PURCHASE or event.type == RETURN:
        return content == ITEMS
    if event.item_count != 1 or (event.type == CART and not seen & ACTION):
        return False
    return content == (ITEMS | REVIEWED if event.type == REVIEW else ITEMS)
