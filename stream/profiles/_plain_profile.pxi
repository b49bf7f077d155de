# A profile as it lies in memory: a field then costs a tenth of what it costs to look up its name, and an event looks at
# thirty. Part of ``_plain.pyx``.

cdef extern from *:
    """
    /* CPython orders the slots of a class by name. */
    #define PROFILE_FIELDS(X) \\
        X(anonymous) X(ask_due) X(asked_at) X(baskets) X(browse_counts) X(browses) X(browses_since_ask) X(cart) \\
        X(cart_changes) X(cart_cleared_at) X(cart_cleared_by) X(cart_counts) X(categories) X(customer_id) \\
        X(engagement_counts) X(event_ids) X(evidence) X(expires_at) X(first_offset) X(first_time) \\
        X(interactions) X(items) X(last_time) X(linked_at) X(linked_visitor) X(marketing) X(marketing_at) \\
        X(messages_clicked) X(messages_opened) X(messages_sent) X(mode) X(pending_returns) X(personalization) \\
        X(personalization_at) X(purchase_amounts) X(purchase_counts) X(purchases) X(rating_sum) X(rating_weight) \\
        X(return_counts) X(returns) X(revenue_cents) X(review_counts) X(reviews) X(settled_baskets) \\
        X(settled_first) X(settled_gap_squares) X(settled_last) X(settled_revenue) X(silence_due) \\
        X(silence_step) X(simulated)

    #define AS_MEMBER(field) PyObject *field;
    #define AS_NAME(field) #field,
    typedef struct {
        PyObject_HEAD
        PROFILE_FIELDS(AS_MEMBER)
    } ProfileObject;
    static const char *const PROFILE_NAMES[] = {PROFILE_FIELDS(AS_NAME) NULL};
    """
    const char *PROFILE_NAMES[]

    ctypedef class stream.profiles.profile.Profile [object ProfileObject, check_size ignore]:
        cdef str customer_id
        cdef object anonymous, mode, simulated
        cdef object first_time, last_time, cart_cleared_at, cart_cleared_by, asked_at, ask_due, first_offset
        cdef object browses, cart_changes, purchases, returns, reviews, rating_sum, rating_weight
        cdef object messages_sent, messages_opened, messages_clicked, browses_since_ask
        cdef object personalization, expires_at, revenue_cents, silence_due, silence_step
        cdef object settled_baskets, settled_first, settled_last, settled_gap_squares
        cdef bytes event_ids, evidence, interactions, items, categories, cart, baskets, pending_returns
        cdef bytes settled_revenue, purchase_amounts, browse_counts, cart_counts, purchase_counts, return_counts
        cdef bytes review_counts, engagement_counts


cdef enum:
    # What was compiled in. The Python beside it may be older or newer.
    _FOLD = 1


cdef int _check_fold() except -1:
    """Raises ``ImportError`` where this is not the fold of the Python beside it: it would make other profiles than
    ``fold``, as when a field was added that it does not fill. Whoever changes ``Profile`` sees to that here first."""
    cdef Py_ssize_t place = 0
    names = []
    while PROFILE_NAMES[place] != NULL:
        names.append(PROFILE_NAMES[place].decode())
        place += 1
    if FOLD_VERSION != _FOLD or sorted(Profile.__struct_fields__) != names:
        raise ImportError(
            f"compiled for fold version {_FOLD} of the profile that it had then, and this is version {FOLD_VERSION} or "
            "a profile with other fields"
        )
    probe = Profile()
    for place, name in enumerate(names):
        mark = object()
        setattr(probe, name, mark)
        # Each held against the class, or one would be taken for its neighbour.
        if (<PyObject **>(<char *><PyObject *>probe + sizeof(PyObject)))[place] != <PyObject *>mark:
            raise ImportError(f"compiled for another place of {name} in a profile")
    return 0


_check_fold()
