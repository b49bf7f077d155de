# What a plain event changes in a profile, type by type, as in ``fold``. Part of ``_plain.pyx``. What is seldom needed
# is called where it is defined, in Python.

cdef inline int64_t begin(Profile profile, PlainEvent *event, int64_t offset) except -1:
    """What every event changes, and the time of the newest one then."""
    cdef int64_t last_time = profile.last_time
    if event.time > last_time:
        profile.last_time = last_time = event.time
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


cdef inline void weigh(double *part, int64_t time, int64_t last_time) noexcept:
    """As ``decay.weights``: both times are positive, so that C's remainder is Python's."""
    cdef double since = <double>(time - last_time + last_time % ERA_MS)
    part[0] = exp2(since / DAY)
    part[1] = exp2(since / WEEK)
    part[2] = exp2(since / MONTH)
    part[3] = exp2(since / QUARTER)


cdef inline int interact(Profile profile, int64_t time, Type type, Product product, bint taken_out) except -1:
    """As ``items.interact`` with one row."""
    cdef bytes ring = profile.interactions
    cdef Py_ssize_t size = PyBytes_GET_SIZE(ring)
    cdef const char *rows = PyBytes_AS_STRING(ring)
    cdef uint32_t seconds = <uint32_t>(time // 1000)
    cdef char[ROW] row
    cdef int at
    for at in range(4):
        row[at] = <char>(seconds >> (24 - 8 * at))
    row[TYPE_AT] = <char>type
    memcpy(row + ROW - TAIL, product.tail, TAIL)
    if taken_out:
        row[QUANTITY_AT] = row[QUANTITY_AT + 1] = 0
    if (
        size > RING
        or (size == RING and <uint8_t>rows[TYPE_AT] == PURCHASE)
        or (size and memcmp(rows + size - ROW, row, ROW) > 0)
    ):
        # It is not the newest, or a purchase falls out of the ring and is counted on.
        items.interact(profile, [PyBytes_FromStringAndSize(row, ROW)])
    else:
        profile.interactions = appended(ring, row, ROW, RING)
    return 0


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


cdef inline int purchase(Profile profile, PlainEvent *event, list bought, settings) except -1:
    """As ``fold`` with a purchase, but for the question that it raises."""
    cdef uint32_t order = crc32(event.order) if event.order.size else event.by
    profile.purchases += 1
    purchases.buy(profile, order, event.time, event.by, bought)
    asking.listen(profile, settings)
    return 0


cdef inline int give_back(
    Profile profile, PlainEvent *event, list returned, double *part, settings, int64_t late
) except -1:
    """As ``fold`` with a return, but for the question that it raises; ``late`` as above."""
    profile.returns += 1
    profile.return_counts = counted(profile.return_counts, part)
    returns.give_back(profile, crc32(event.order) if event.order.size else 0, event.time, returned, late)
    asking.listen(profile, settings)
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
