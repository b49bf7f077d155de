# What a plain event changes in a profile, type by type, as in ``fold``. Part of ``_plain.pyx``. What is seldom needed
# is called where it is defined, in Python.

cdef inline int64_t begin(Profile profile, PlainEvent *event, int64_t offset) except -1:
    """What every event changes, and the time of the newest one then."""
    cdef int64_t last_time = profile.last_time
    cdef int64_t eras
    if event.time > last_time:
        eras = event.time // ERA_MS - last_time // ERA_MS
        profile.last_time = last_time = event.time
        if eras:
            move_landmark(profile, eras)
    elif event.time < <int64_t>profile.first_time:
        profile.first_time = event.time
    profile.event_ids = appended(profile.event_ids, <char *>&event.by, ID_SIZE, IDS_SIZE)
    if <int64_t>profile.first_offset < 0:
        profile.first_offset = offset
    profile.evidence = with_evidence(profile.evidence, event.event_id)
    if event.simulated:
        profile.simulated = True
    profile.mode = "live"
    return last_time


cdef int move_landmark(Profile profile, int64_t eras) except -1:
    """As the fold: all that decays, relative to a landmark so much later."""
    cdef double[4] factor
    cdef BoughtItem bought
    cdef Leaning leaning
    cdef bytes table
    cdef Py_ssize_t at
    for at in range(4):
        factor[at] = exp2(<double>(-eras * ERA_MS) / HALF_LIVES[at])
    profile.browse_counts = times(profile.browse_counts, factor)
    profile.cart_counts = times(profile.cart_counts, factor)
    profile.purchase_counts = times(profile.purchase_counts, factor)
    profile.return_counts = times(profile.return_counts, factor)
    profile.review_counts = times(profile.review_counts, factor)
    profile.engagement_counts = times(profile.engagement_counts, factor)
    profile.purchase_amounts = times(profile.purchase_amounts, factor)
    profile.rating_sum *= factor[3]
    profile.rating_weight *= factor[3]
    table = PyBytes_FromStringAndSize(PyBytes_AS_STRING(profile.categories), PyBytes_GET_SIZE(profile.categories))
    for at in range(0, PyBytes_GET_SIZE(table), CATEGORY):
        memcpy(&leaning, PyBytes_AS_STRING(table) + at, CATEGORY)
        leaning.weight *= factor[3]
        memcpy(PyBytes_AS_STRING(table) + at, &leaning, CATEGORY)
    profile.categories = table
    table = PyBytes_FromStringAndSize(PyBytes_AS_STRING(profile.items), PyBytes_GET_SIZE(profile.items))
    for at in range(0, PyBytes_GET_SIZE(table), BOUGHT_ITEM):
        memcpy(&bought, PyBytes_AS_STRING(table) + at, BOUGHT_ITEM)
        bought.count *= factor[3]
        memcpy(PyBytes_AS_STRING(table) + at, &bought, BOUGHT_ITEM)
    profile.items = table
    return 0


cdef inline bytes times(bytes sums, double *factor):
    """As ``decay.moved``."""
    cdef double[4] total
    cdef int at
    if PyBytes_GET_SIZE(sums) == 0:
        return sums
    memcpy(total, PyBytes_AS_STRING(sums), 32)
    for at in range(4):
        total[at] *= factor[at]
    return PyBytes_FromStringAndSize(<char *>total, 32)


cdef inline void weigh(double *part, int64_t time, int64_t last_time) noexcept:
    """As ``decay.weights``: the newest time is positive, so that C's remainder is Python's."""
    cdef double since = <double>(time - last_time + last_time % ERA_MS)
    cdef int at
    for at in range(4):
        part[at] = exp2(since / HALF_LIVES[at])


cdef inline void fill_row(char *row, int64_t time, Type type, Product product) noexcept:
    """As ``interactions.row``."""
    cdef uint32_t seconds = <uint32_t>(time // 1000)
    cdef int at
    for at in range(4):
        row[at] = <char>(seconds >> (24 - 8 * at))
    row[TYPE_AT] = <char>type
    memcpy(row + ROW - TAIL, product.tail, TAIL)


cdef inline int interact(Profile profile, int64_t time, Type type, Product product, bint taken_out) except -1:
    """As ``items.interact`` with one row."""
    cdef char[ROW] row
    fill_row(row, time, type, product)
    if taken_out:
        row[QUANTITY_AT] = row[QUANTITY_AT + 1] = 0
    return put_rows(profile, row, 1)


cdef inline int put_rows(Profile profile, const char *rows, Py_ssize_t count) except -1:
    """As ``items.interact``, with rows in their order."""
    cdef bytes ring = profile.interactions
    cdef Py_ssize_t size = PyBytes_GET_SIZE(ring), surplus = size + count * ROW - RING, at
    cdef const char *old = PyBytes_AS_STRING(ring)
    if surplus > size or (size and memcmp(old + size - ROW, rows, ROW) > 0):
        # Nearly every event is its customer's newest; this one is not.
        items.interact(profile, [PyBytes_FromStringAndSize(rows + at * ROW, ROW) for at in range(count)])
        return 0
    for at in range(0, surplus, ROW):
        if <uint8_t>old[at + TYPE_AT] == PURCHASE:
            count_bought(profile, <const uint8_t *>old + at)
    while PyBytes_GET_SIZE(profile.items) > BOUGHT_ITEMS:
        profile.items = without_weakest(profile.items)
    profile.interactions = appended(ring, rows, count * ROW, RING)
    return 0


cdef inline int count_bought(Profile profile, const uint8_t *row) except -1:
    """Counts on a purchase that falls out of the ring, as ``items.settle``."""
    cdef bytes table = profile.items
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table), at
    cdef int64_t last_time = profile.last_time, seconds = 0
    cdef uint64_t item = 0
    cdef double one
    cdef uint16_t day
    cdef BoughtItem kept
    for at in range(4):
        seconds = seconds << 8 | row[at]
    for at in range(ITEM_AT, ITEM_AT + 8):
        item = item << 8 | row[at]
    one = exp2(<double>(seconds * 1000 - (last_time - last_time % ERA_MS)) / QUARTER)
    day = <uint16_t>(seconds * 1000 // DAY_MS)
    for at in range(0, size, BOUGHT_ITEM):
        memcpy(&kept, PyBytes_AS_STRING(table) + at, BOUGHT_ITEM)
        if kept.item == item:
            kept.count += one
            kept.day = max(kept.day, day)
            profile.items = replaced(table, at, <char *>&kept, BOUGHT_ITEM)
            return 0
    kept.item, kept.count, kept.day = item, one, day
    profile.items = appended(table, <char *>&kept, BOUGHT_ITEM, size + BOUGHT_ITEM)
    return 0


cdef inline bytes without_weakest(bytes table):
    """The table without the item that ``items.strongest`` gives up first."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table), at, weakest_at = 0
    cdef const char *rows = PyBytes_AS_STRING(table)
    cdef BoughtItem one, weakest
    memcpy(&weakest, rows, BOUGHT_ITEM)
    for at in range(BOUGHT_ITEM, size, BOUGHT_ITEM):
        memcpy(&one, rows + at, BOUGHT_ITEM)
        if one.count < weakest.count or (one.count == weakest.count and one.item < weakest.item):
            weakest = one
            weakest_at = at
    return without(table, weakest_at, BOUGHT_ITEM)


cdef inline int browse(Profile profile, PlainEvent *event, Product product, double *part) except -1:
    """As ``fold`` with a view of one item, but for the question that it may raise."""
    profile.browses += 1
    profile.browse_counts = counted(profile.browse_counts, part)
    if product.category:
        profile.categories = leaned(profile.categories, product.category, BROWSED * part[3])
    interact(profile, event.time, BROWSE, product, False)
    profile.browses_since_ask += 1
    return 0


cdef inline bint change_cart(Profile profile, PlainEvent *event, Product product, double *part, int64_t late) except -1:
    """As ``fold`` with an item put into the cart or taken out. True: that has emptied it.

    Args:
        late: no event older than this can still come.
    """
    cdef bint taken_out = event.action == REMOVE
    cdef bint was_open = taken_out and is_open(profile.cart)
    profile.cart_changes += 1
    profile.cart_counts = counted(profile.cart_counts, part)
    if product.category and not taken_out:
        profile.categories = leaned(profile.categories, product.category, CARTED * part[3])
    interact(profile, event.time, CART, product, taken_out)
    write_cart(profile, event.time, event.by, product, taken_out, late)
    return was_open and not is_open(profile.cart)


cdef inline int write_cart(
    Profile profile, int64_t time, uint32_t by, Product product, bint taken_out, int64_t late
) except -1:
    """As ``cart.write`` with one item."""
    cdef bytes table = profile.cart
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table), at
    cdef CartRow row, said
    if earlier(time, by, profile.cart_cleared_at, profile.cart_cleared_by):
        return 0
    row.item, row.time, row.by = product.item, time, by
    row.quantity, row.price = 0.0 if taken_out else product.quantity, product.price
    for at in range(0, size, CART_ROW):
        memcpy(&said, PyBytes_AS_STRING(table) + at, CART_ROW)
        if said.item == row.item:
            if earlier(said.time, said.by, time, by):
                profile.cart = replaced(table, at, <char *>&row, CART_ROW)
            return 0
    if size >= CART_SIZE:
        cart.write(profile, [product.line], taken_out, time, by, late)
    else:
        profile.cart = appended(table, <char *>&row, CART_ROW, CART_SIZE)
    return 0


cdef inline bint earlier(int64_t time, uint32_t by, int64_t than, uint32_t than_by) noexcept:
    """Whether what an event said is not newer than what another said: by time, then by hash of its id."""
    return time < than or (time == than and by <= than_by)


cdef inline bint is_open(bytes table) noexcept:
    """As ``cart.is_open``."""
    cdef Py_ssize_t at
    cdef CartRow said
    for at in range(0, PyBytes_GET_SIZE(table), CART_ROW):
        memcpy(&said, PyBytes_AS_STRING(table) + at, CART_ROW)
        if said.quantity > 0:
            return True
    return False


cdef inline int purchase(
    Profile profile, PlainEvent *event, list bought, double *part, Silence *silence
) except -1:
    """As ``fold`` with a purchase, but for the question that it raises."""
    profile.purchases += 1
    buy(profile, event, crc32(event.order) if event.order.size else event.by, bought, part)
    listen(profile, silence)
    return 0


cdef inline int give_back(
    Profile profile, PlainEvent *event, list returned, double *part, Silence *silence, int64_t late
) except -1:
    """As ``fold`` with a return, but for the question that it raises; ``late`` as above."""
    profile.returns += 1
    profile.return_counts = counted(profile.return_counts, part)
    lines = each_once([(<Product>one).line for one in returned])
    returns.give_back(profile, crc32(event.order) if event.order.size else 0, event.time, lines, late)
    listen(profile, silence)
    return 0


cdef inline int review(Profile profile, PlainEvent *event, Product product, rating, double *part) except -1:
    """As ``fold`` with a review of one item, but for the question that it raises."""
    profile.reviews += 1
    profile.review_counts = counted(profile.review_counts, part)
    if rating is not None:
        profile.rating_sum += rating * part[3]
        profile.rating_weight += part[3]
    items.interact(profile, [interactions.row(event.time, REVIEW, product.line.item, rating or 0.0, 0.0)])
    return 0


cdef inline int engage(Profile profile, str action, double *part) except -1:
    """As ``fold`` with news of a message."""
    if action == "sent":
        profile.messages_sent += 1
    elif action == "opened":
        profile.engagement_counts = counted(profile.engagement_counts, part)
        profile.messages_opened += 1
    elif action == "clicked":
        profile.engagement_counts = counted(profile.engagement_counts, part)
        profile.messages_clicked += 1
    return 0
