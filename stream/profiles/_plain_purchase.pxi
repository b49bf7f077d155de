# What a purchase changes, as ``purchases.buy`` has it, and the silence that is listened for from then on. Part of
# ``_plain.pyx``. What is seldom needed is called where it is defined, in Python.

cdef inline int buy(Profile profile, PlainEvent *event, uint32_t order, list bought, double *part) except -1:
    """As ``purchases.buy``.

    Args:
        bought: the ``Product`` of each item.
        part: of the event; see ``weigh``.
    """
    cdef int64_t cents = 0, units = 0
    cdef Product product
    if not opens_basket(profile, event.time, order) or not differ(bought):
        purchases.buy(profile, order, event.time, event.by, each_once([(<Product>one).line for one in bought]))
        return 0
    for product in bought:
        cents += product.cents
        units += product.units
        if product.category:
            profile.categories = leaned(profile.categories, product.category, BOUGHT * in_whole_seconds(profile, event))
    begin_basket(profile, event.time, order, cents, units, part)
    interact_bought(profile, event.time, order, bought)
    clear_cart(profile, event.time, event.by)
    return 0


cdef inline bint opens_basket(Profile profile, int64_t time, uint32_t order) noexcept:
    """Whether a purchase begins the newest basket, and nobody waits for it."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(profile.baskets), at
    cdef const char *rows = PyBytes_AS_STRING(profile.baskets)
    cdef BasketRow row
    if size > BASKETS or PyBytes_GET_SIZE(profile.pending_returns):
        return False
    for at in range(0, size, BASKET):
        memcpy(&row, rows + at, BASKET)
        if row.order == order:
            return False
    return not size or row.time < time


cdef inline bint differ(list bought) noexcept:
    """Whether no item of a purchase stands in it twice."""
    cdef Py_ssize_t count = len(bought), one, other
    for one in range(1, count):
        for other in range(one):
            if (<Product>bought[one]).item == (<Product>bought[other]).item:
                return False
    return True


cdef inline double in_whole_seconds(Profile profile, PlainEvent *event) except? -1:
    """As ``decay.weight`` under 90 days, at the time that the ring of interactions keeps of the event."""
    cdef int64_t last_time = profile.last_time
    return exp2(<double>(event.time - event.time % 1000 - (last_time - last_time % ERA_MS)) / QUARTER)


cdef inline int begin_basket(
    Profile profile, int64_t time, uint32_t order, int64_t cents, int64_t units, double *part
) except -1:
    """As ``baskets.begin`` with the newest basket of all."""
    cdef BasketRow row
    row.order, row.time, row.cents, row.units, row.counts = order, time, cents, units, units > 0
    if row.counts:
        profile.purchase_counts = counted(profile.purchase_counts, part)
    if cents:
        profile.purchase_amounts = with_amount(profile.purchase_amounts, part, <double>cents)
        profile.revenue_cents += cents
    if PyBytes_GET_SIZE(profile.baskets) == BASKETS:
        settle_basket(profile)
    profile.baskets = appended(profile.baskets, <char *>&row, BASKET, BASKETS)
    return 0


cdef inline bytes with_amount(bytes sums, double *part, double amount):
    """As ``decay.added`` with an amount above zero."""
    cdef double[4] total
    cdef int at
    if PyBytes_GET_SIZE(sums) == 0:
        for at in range(4):
            total[at] = amount * part[at]
    else:
        memcpy(total, PyBytes_AS_STRING(sums), 32)
        for at in range(4):
            total[at] += amount * part[at]
    return PyBytes_FromStringAndSize(<char *>total, 32)


cdef inline int settle_basket(Profile profile) except -1:
    """Carries the oldest basket to the sums, as ``baskets.settle``; ``appended`` then lets go of it."""
    cdef BasketRow row
    cdef int64_t gap
    memcpy(&row, PyBytes_AS_STRING(profile.baskets), BASKET)
    if row.units > 0:
        if not profile.settled_baskets:
            profile.settled_first = profile.settled_last = row.time
        elif row.time >= <int64_t>profile.settled_last:
            gap = row.time // 1000 - <int64_t>profile.settled_last // 1000
            profile.settled_gap_squares += gap * gap
            profile.settled_last = row.time
        elif row.time < <int64_t>profile.settled_first:
            gap = <int64_t>profile.settled_first // 1000 - row.time // 1000
            profile.settled_gap_squares += gap * gap
            profile.settled_first = row.time
        profile.settled_baskets += 1
    if row.units >= WHOLE_ORDER and row.cents:
        book(profile, row.time, row.cents)
    return 0


cdef inline int book(Profile profile, int64_t time, int64_t cents) except -1:
    """As ``baskets.book``, which is called where more than one bucket changes."""
    cdef bytes table = profile.settled_revenue
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table)
    cdef const char *rows = PyBytes_AS_STRING(table)
    cdef int64_t number = time // BUCKET_MS, oldest = <int64_t>profile.last_time // BUCKET_MS - BUCKETS_KEPT
    cdef Bucket first, last
    if size and oldest <= number:
        memcpy(&first, rows, BUCKET)
        memcpy(&last, rows + size - BUCKET, BUCKET)
        if first.number >= oldest:
            if last.number == number and last.cents + cents:
                last.cents += cents
                profile.settled_revenue = replaced(table, size - BUCKET, <char *>&last, BUCKET)
                return 0
            if last.number < number:
                last.number, last.cents = <uint16_t>number, cents
                profile.settled_revenue = appended(table, <char *>&last, BUCKET, size + BUCKET)
                return 0
    baskets.book(profile, time, cents)
    return 0


cdef inline int interact_bought(Profile profile, int64_t time, uint32_t order, list bought) except -1:
    """As ``items.interact`` with a row for each product of a purchase."""
    cdef char[MOST_ITEMS * ROW] rows
    cdef char[ROW] row
    cdef Py_ssize_t count = 0, at
    for product in bought:
        fill_row(row, time, PURCHASE, <Product>product)
        row[TAG_AT] = <char>(order >> 8)
        row[TAG_AT + 1] = <char>order
        at = count
        while at and memcmp(rows + (at - 1) * ROW, row, ROW) > 0:
            memcpy(rows + at * ROW, rows + (at - 1) * ROW, ROW)
            at -= 1
        memcpy(rows + at * ROW, row, ROW)
        count += 1
    return put_rows(profile, rows, count)


cdef inline int clear_cart(Profile profile, int64_t time, uint32_t by) except -1:
    """As ``cart.clear``."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(profile.cart), at, kept = 0
    cdef CartRow said
    cdef bytes rest
    if earlier(time, by, profile.cart_cleared_at, profile.cart_cleared_by):
        return 0
    profile.cart_cleared_at, profile.cart_cleared_by = time, by
    if not size:
        return 0
    rest = PyBytes_FromStringAndSize(NULL, size)
    for at in range(0, size, CART_ROW):
        memcpy(&said, PyBytes_AS_STRING(profile.cart) + at, CART_ROW)
        if not earlier(said.time, said.by, time, by):
            memcpy(PyBytes_AS_STRING(rest) + kept, &said, CART_ROW)
            kept += CART_ROW
    profile.cart = rest if kept == size else rest[:kept]
    return 0


cdef inline int listen(Profile profile, Silence *silence) except -1:
    """As ``asking.listen``."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(profile.baskets), at
    cdef int64_t count = profile.settled_baskets, first = profile.settled_first, last = profile.settled_last
    cdef int64_t after = profile.last_time, own_first = 0, own_last = 0, own = 0, step = 0
    cdef double length, stop, due
    cdef BasketRow row
    profile.silence_step = 0
    profile.silence_due = 0
    if not profile.personalization or profile.anonymous:
        return 0
    for at in range(0, size, BASKET):
        memcpy(&row, PyBytes_AS_STRING(profile.baskets) + at, BASKET)
        if row.counts:
            own_last = row.time
            if not own:
                own_first = row.time
            own += 1
    if own:
        first = min(first, own_first) if count else own_first
        last = max(last, own_last) if count else own_last
        count += own
    if not count:
        return 0
    if count == 1:
        length = silence.one_time
    else:
        length = <double>(last - first) / <double>(count - 1) * silence.factor
        length = min(max(length, silence.shortest), silence.longest)
    stop = <double>(last + silence.stop)
    due = <double>last
    while due <= stop:
        due += length
        length *= silence.growth
        if due > <double>after:
            profile.silence_step = step
            profile.silence_due = <int64_t>due if due <= stop else 0
            return 0
        step += 1
    return 0
