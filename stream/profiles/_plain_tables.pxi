# The packed tables of a profile, as ``asking``, ``bound``, ``categories`` and ``decay`` write them. Part of
# ``_plain.pyx``.

cdef uint32_t[256] CRC


cdef void _fill_crc() noexcept:
    cdef uint32_t number, value
    cdef int bit
    for number in range(256):
        value = number
        for bit in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        CRC[number] = value


_fill_crc()


cdef inline uint32_t crc32(Text text) noexcept:
    """As ``ids.event_id_hash``."""
    cdef uint32_t value = 0xFFFFFFFF
    cdef Py_ssize_t at
    for at in range(text.size):
        value = (value >> 8) ^ CRC[(value ^ <uint8_t>text.at[at]) & 0xFF]
    return value ^ 0xFFFFFFFF


cdef inline bint holds(bytes event_ids, uint32_t by) noexcept:
    cdef const char *ids = PyBytes_AS_STRING(event_ids)
    cdef Py_ssize_t at
    cdef uint32_t one
    for at in range(0, PyBytes_GET_SIZE(event_ids), 4):
        memcpy(&one, ids + at, 4)
        if one == by:
            return True
    return False


cdef inline bytes appended(bytes table, const char *row, Py_ssize_t row_size, Py_ssize_t most):
    """The table with a row behind it, and without its oldest bytes where it would be longer than ``most``."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table)
    cdef Py_ssize_t kept = min(size, most - row_size)
    cdef bytes longer = PyBytes_FromStringAndSize(NULL, kept + row_size)
    memcpy(PyBytes_AS_STRING(longer), PyBytes_AS_STRING(table) + size - kept, kept)
    memcpy(PyBytes_AS_STRING(longer) + kept, row, row_size)
    return longer


cdef inline bytes with_evidence(bytes evidence, Text event_id):
    """As ``asking.note``: the byte FF behind each id, and the oldest given up for one too many."""
    cdef const char *ids = PyBytes_AS_STRING(evidence)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(evidence)
    cdef Py_ssize_t at, count = 1, begin = 0
    cdef bytes longer
    for at in range(size):
        count += <uint8_t>ids[at] == 0xFF
    if count > EVIDENCE:
        while <uint8_t>ids[begin] != 0xFF:
            begin += 1
        begin += 1
    longer = PyBytes_FromStringAndSize(NULL, size - begin + event_id.size + 1)
    memcpy(PyBytes_AS_STRING(longer), ids + begin, size - begin)
    memcpy(PyBytes_AS_STRING(longer) + size - begin, event_id.at, event_id.size)
    PyBytes_AS_STRING(longer)[size - begin + event_id.size] = <char>0xFF
    return longer


cdef inline bytes counted(bytes sums, double *part):
    """As ``decay.counted``."""
    cdef double[4] total
    cdef int at
    if PyBytes_GET_SIZE(sums) == 0:
        return PyBytes_FromStringAndSize(<char *>part, 32)
    memcpy(total, PyBytes_AS_STRING(sums), 32)
    for at in range(4):
        total[at] += part[at]
    return PyBytes_FromStringAndSize(<char *>total, 32)


cdef inline bytes leaned(bytes table, uint32_t category, double part):
    """As ``categories.added`` with a part above zero."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table)
    cdef const char *rows = PyBytes_AS_STRING(table)
    cdef Py_ssize_t at, weakest_at = -1
    cdef Leaning one
    cdef double weakest = 0.0
    for at in range(0, size, CATEGORY):
        memcpy(&one, rows + at, CATEGORY)
        if one.category == category:
            one.weight += part
            if one.weight > NOTHING * part:
                return replaced(table, at, <char *>&one, CATEGORY)
            return categories.added(table, category, part)
        if weakest_at < 0 or one.weight < weakest:
            weakest = one.weight
            weakest_at = at
    one.category, one.weight = category, part
    if size < CATEGORIES:
        return appended(table, <char *>&one, CATEGORY, size + CATEGORY)
    return table if part <= weakest else replaced(table, weakest_at, <char *>&one, CATEGORY)


cdef inline bytes replaced(bytes table, Py_ssize_t at, const char *part, Py_ssize_t length):
    cdef bytes changed = PyBytes_FromStringAndSize(PyBytes_AS_STRING(table), PyBytes_GET_SIZE(table))
    memcpy(PyBytes_AS_STRING(changed) + at, part, length)
    return changed


cdef inline bytes without(bytes table, Py_ssize_t at, Py_ssize_t length):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table)
    cdef bytes shorter = PyBytes_FromStringAndSize(NULL, size - length)
    memcpy(PyBytes_AS_STRING(shorter), PyBytes_AS_STRING(table), at)
    memcpy(PyBytes_AS_STRING(shorter) + at, PyBytes_AS_STRING(table) + at + length, size - length - at)
    return shorter


cdef inline int fit(Profile profile) except -1:
    """As ``bound.fit``, which is called where the profile is too large."""
    cdef Py_ssize_t filled = (
        PyBytes_GET_SIZE(profile.event_ids)
        + PyBytes_GET_SIZE(profile.interactions)
        + PyBytes_GET_SIZE(profile.items)
        + PyBytes_GET_SIZE(profile.evidence)
    )
    if filled < SMALL and PyUnicode_GET_LENGTH(profile.customer_id) <= SHORT_ID:
        return 0
    if type(profile) is not Profile or encoded_size(profile) > LARGEST:
        bound.fit(profile)
    return 0


cdef inline Py_ssize_t encoded_size(Profile profile) except -1:
    """Bytes of ``codec.encode``, or more."""
    cdef PyObject **fields = <PyObject **>(<char *><PyObject *>profile + sizeof(PyObject))
    cdef Py_ssize_t size = HEAD, at
    cdef object value
    for at in range(FIELDS):
        value = <object>fields[at]
        if type(value) is int:
            size += size_of_int(value)
        elif type(value) is bytes:
            size += size_of_text(PyBytes_GET_SIZE(value), 0)
        elif type(value) is float:
            size += 9
        elif type(value) is bool:
            size += 1
        else:
            size += size_of_text(len((<str?>value).encode()), SHORTEST_TEXT)
    return size


cdef inline Py_ssize_t size_of_int(value) except -1:
    """In MessagePack, which msgspec writes in the shortest form; never less than that."""
    cdef int overflow
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or number < -128 or number >= 1 << 32:
        return 9
    if -32 <= number < 128:
        return 1
    return 5 if number >= 1 << 16 else 3 if number >= 1 << 8 else 2


cdef inline Py_ssize_t size_of_text(Py_ssize_t length, Py_ssize_t shortest) noexcept:
    """In MessagePack, head included; ``shortest``: up to which length a head takes one byte."""
    return length + (1 if length < shortest else 2 if length < 1 << 8 else 3 if length < 1 << 16 else 5)
