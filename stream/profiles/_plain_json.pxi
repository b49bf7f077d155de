# The JSON of a plain event: a scanner that knows no escapes, and gives up rather than guess. Part of ``_plain.pyx``.

cdef inline void spaces(Cursor *cursor) noexcept:
    while cursor.at < cursor.end and (
        cursor.at[0] == 32 or cursor.at[0] == 10 or cursor.at[0] == 13 or cursor.at[0] == 9
    ):
        cursor.at += 1


cdef inline bint token(Cursor *cursor, const char *one) noexcept:
    spaces(cursor)
    if cursor.at < cursor.end and cursor.at[0] == one[0]:
        cursor.at += 1
        return True
    return False


cdef inline bint word(Cursor *cursor, const char *text, Py_ssize_t size) noexcept:
    if cursor.end - cursor.at < size or memcmp(cursor.at, text, size) != 0:
        return False
    cursor.at += size
    return True


cdef inline bint quoted(Cursor *cursor, Text *text) noexcept:
    """A string without escapes."""
    cdef uint8_t one
    if not token(cursor, b'"'):
        return False
    text.at = cursor.at
    while cursor.at < cursor.end:
        one = <uint8_t>cursor.at[0]
        if one == 34:
            text.size = cursor.at - text.at
            cursor.at += 1
            return True
        if one < 32 or one == 92:
            return False
        if one >= 128:
            cursor.foreign = True
        cursor.at += 1
    return False


cdef inline bint flat_object(Cursor *cursor, Text *text) noexcept:
    """An object without objects, arrays or escapes in it. That it is JSON is not looked at."""
    cdef uint8_t one
    cdef bint inside = False
    spaces(cursor)
    text.at = cursor.at
    if not token(cursor, b"{"):
        return False
    while cursor.at < cursor.end:
        one = <uint8_t>cursor.at[0]
        cursor.at += 1
        if one == 34:
            inside = not inside
        elif one < 32 or one == 92:
            return False
        elif one >= 128:
            cursor.foreign = True
        elif not inside:
            if one == 125:
                text.size = cursor.at - text.at
                return True
            if one == 123 or one == 91:
                return False
    return False


cdef inline bint is_(Text text, const char *other, Py_ssize_t size) noexcept:
    return text.size == size and memcmp(text.at, other, size) == 0


cdef inline bint foreign(Text text) noexcept:
    cdef Py_ssize_t at
    for at in range(text.size):
        if <uint8_t>text.at[at] >= 128:
            return True
    return False


cdef inline bint utf8(bytes value) noexcept:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


cdef inline int64_t whole_number(Cursor *cursor) noexcept:
    """A positive integer of at most 15 digits; -1 for whatever else stands there."""
    cdef int64_t number = 0
    cdef int digits = 0
    cdef char first = cursor.at[0]
    while cursor.at < cursor.end and 48 <= cursor.at[0] <= 57:
        number = number * 10 + cursor.at[0] - 48
        digits += 1
        if digits > 15:
            return -1
        cursor.at += 1
    if digits == 0 or number < EARLIEST or first == 48:
        return -1
    # What stands behind it has to be the end of the value, which the caller sees.
    return number


cdef inline int digits(const char *at, int count) noexcept:
    cdef int number = 0, place
    for place in range(count):
        if not 48 <= at[place] <= 57:
            return -1
        number = number * 10 + at[place] - 48
    return number


cdef inline int64_t rfc3339(Text text) noexcept:
    """Epoch milliseconds of ``YYYY-MM-DDTHH:MM:SS[.f to .ffffff]Z``, rounded down; -1 for any other form."""
    cdef const char *at = text.at
    cdef int year, month, day, hour, minute, second, part = 0, place
    cdef int64_t days, shifted
    if text.size < 20 or text.size > 27 or text.size == 21 or at[text.size - 1] != 90:
        return -1
    if at[4] != 45 or at[7] != 45 or at[10] != 84 or at[13] != 58 or at[16] != 58:
        return -1
    year, month, day = digits(at, 4), digits(at + 5, 2), digits(at + 8, 2)
    hour, minute, second = digits(at + 11, 2), digits(at + 14, 2), digits(at + 17, 2)
    if (
        year < 1970 or not 1 <= month <= 12 or not 1 <= day <= month_days(year, month)
        or not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59
    ):
        return -1
    if text.size > 20:
        if at[19] != 46 or digits(at + 20, text.size - 21) < 0:
            return -1
        for place in range(3):
            part = part * 10 + (at[20 + place] - 48 if 20 + place < text.size - 1 else 0)
    # Days since 1970, counted in years that begin in March.
    shifted = year - (month <= 2)
    days = (
        365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
        + (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1 - 719468
    )
    return ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + part


cdef inline int month_days(int year, int month) noexcept:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline int32_t murmur2(bytes key) noexcept:
    """As ``partitioning.murmur2``."""
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(key)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(key), whole = length & ~<Py_ssize_t>3, start
    cdef uint32_t multiplier = 0x5BD1E995, h = 0x9747B28C ^ <uint32_t>length, k
    for start in range(0, whole, 4):
        k = at[start] | at[start + 1] << 8 | at[start + 2] << 16 | <uint32_t>at[start + 3] << 24
        k *= multiplier
        k = (k ^ k >> 24) * multiplier
        h = h * multiplier ^ k
    if length != whole:
        k = 0
        for start in range(length - 1, whole - 1, -1):
            k = k << 8 | at[start]
        h = (h ^ k) * multiplier
    h = (h ^ h >> 13) * multiplier
    return <int32_t>(h ^ h >> 15)
