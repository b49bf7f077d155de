# What the compiled path has to know of the tables of a profile, and how an event is held. Part of ``_plain.pyx``.

cdef int64_t ERA_MS = decay.ERA_MS
cdef int64_t DAY_MS = _DAY_MS
cdef double[4] HALF_LIVES = decay.HALF_LIVES
cdef double QUARTER = decay.HALF_LIVES[decay.QUARTER]
cdef Py_ssize_t ID_SIZE = bound.EVENT_ID_SIZE
cdef Py_ssize_t IDS_SIZE = bound.EVENT_IDS * bound.EVENT_ID_SIZE
cdef Py_ssize_t EVIDENCE = asking.EVIDENCE
cdef Py_ssize_t RING = interactions.CAPACITY * interactions.ROW.size
cdef Py_ssize_t CATEGORIES = categories.CAPACITY * categories.ROW.size
cdef Py_ssize_t CART_SIZE = cart.CAPACITY * cart.ROW.size
cdef Py_ssize_t BASKETS = baskets.CAPACITY * baskets.ROW.size
cdef Py_ssize_t BOUGHT_ITEMS = items.CAPACITY * items.ROW.size
cdef int64_t BUCKET_MS = baskets.BUCKET_MS
cdef int64_t BUCKETS_KEPT = baskets.BUCKETS_KEPT
cdef int64_t WHOLE_ORDER = baskets.RETURNED_WHOLE // 2
cdef double BROWSED = categories.BROWSED
cdef double CARTED = categories.CARTED
cdef double BOUGHT = categories.BOUGHT
cdef double NOTHING = categories.NOTHING
cdef Py_ssize_t SMALL = bound.SMALL
cdef Py_ssize_t SHORT_ID = bound.SHORT_ID
cdef Py_ssize_t LARGEST = bound.CUSTOMER_BOUND - bound.RESERVE
cdef Py_ssize_t FIELDS = len(Profile.__struct_fields__)
cdef Py_ssize_t HEAD = len(codec.HEAD)
cdef int64_t EARLIEST = EARLIEST_MS
cdef int64_t LATEST = LATEST_MS

cdef enum:
    # The layouts of ``interactions.ROW``, and how long the rows of the other tables are.
    ROW = 19
    TYPE_AT = 4
    ITEM_AT = 5
    TAIL = 14
    TAG_AT = 13
    QUANTITY_AT = 15
    CATEGORY = 12
    CART_ROW = 28
    BASKET = 29
    BUCKET = 10
    BOUGHT_ITEM = 18
    # Characters from which on MessagePack needs a second byte for the length of a text.
    SHORTEST_TEXT = 32
    # Products remembered by the bytes of their item: most events are about one that others have just been about.
    PRODUCTS = 1 << 16
    # Items of a purchase or a return that is plain.
    MOST_ITEMS = 32

cdef enum Type:
    OTHER = 0
    # As in a row of the ring of interactions.
    BROWSE = 1
    CART = 2
    PURCHASE = 3
    RETURN = 4
    REVIEW = 5
    ENGAGEMENT = 100

cdef enum Action:
    NO_ACTION
    ADD
    REMOVE
    SET

assert (interactions.ROW.size, interactions.TYPE_AT) == (ROW, TYPE_AT)
assert (categories.ROW.size, cart.ROW.size) == (CATEGORY, CART_ROW)
assert (baskets.ROW.size, baskets.BUCKET.size, items.ROW.size) == (BASKET, BUCKET, BOUGHT_ITEM)
assert categories.HALF_LIFE == decay.HALF_LIVES[decay.QUARTER]
assert (interactions.BROWSE, interactions.CART, interactions.PURCHASE) == (BROWSE, CART, PURCHASE)
assert (interactions.RETURN, interactions.REVIEW) == (RETURN, REVIEW)

cdef struct Text:
    const char *at
    Py_ssize_t size


cdef struct Cursor:
    const char *at
    const char *end
    bint foreign  # whether a byte beyond ASCII was seen


cdef struct PlainEvent:
    # The texts lie in the value of its record.
    Type type
    Action action
    int64_t time
    uint32_t by  # hash of its id
    bint simulated
    Text event_id, customer, order, traceparent
    Text detail  # JSON of the engagement or the review
    int item_count
    Text[MOST_ITEMS] items  # JSON of each


cdef packed struct CartRow:
    # As ``cart.ROW``.
    uint64_t item
    int64_t time
    uint32_t by
    float quantity
    float price


cdef packed struct Leaning:
    # As ``categories.ROW``.
    uint32_t category
    double weight


cdef packed struct BasketRow:
    # As ``baskets.ROW``.
    uint32_t order
    int64_t time
    int64_t cents
    int64_t units
    uint8_t counts


cdef packed struct Bucket:
    # As ``baskets.BUCKET``.
    uint16_t number
    int64_t cents


cdef packed struct BoughtItem:
    # As ``items.ROW``.
    uint64_t item
    double count
    uint16_t day


cdef struct Silence:
    # Of the settings: how long a customer is silent before it is noticed. Milliseconds.
    double one_time, factor, shortest, longest, growth
    int64_t stop


cdef class Product:
    """What a profile keeps of an item: the end of its row in the ring, its row in the cart, and its category."""

    cdef char[TAIL] tail
    cdef uint64_t item
    cdef float quantity, price
    cdef int64_t cents, units
    cdef uint32_t category
    cdef bint priced
    cdef double amount
    cdef object line
