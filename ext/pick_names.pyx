# cython: boundscheck=False, wraparound=False, cdivision=True
"""What a pick window is called: see pick_names.pxd."""

from libc.stdint cimport uint64_t

from ext.keys cimport KEY_LINE, text_key


cdef Key key_of(const PickWindow* window) noexcept:
    if window.task:
        return text_key(window.task)
    return Key(a=window.line.order, number=window.line.number, form=KEY_LINE)


cdef Subject subject_of(const PickWindow* window) noexcept:
    return Subject(head=b"task/" if window.task else b"line/", key=key_of(window))


cdef int32_t subject_text(Floor floor, const PickWindow* window) except -1:
    """The subject as a text, for exceptions."""
    if window.task:
        return floor.joined(b"task/", window.task)
    return floor.joined(b"line/", floor.numbered(window.line.order, c"/", window.line.number))


cdef int put_key(Floor floor, const PickWindow* window) except -1:
    """The business key: the task, else order/line."""
    cdef int32_t text = window.task if window.task else window.line.order
    floor.outlet.key_is(text)
    if not window.task:
        floor.outlet.key.put(b"/")
        floor.outlet.key.integer(window.line.number)
    return 0


cdef int alarm(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause, str detail) except -1:
    """Raise an exception that this window can clear."""
    floor.troubled(window).alarms |= <uint64_t>1 << code
    return floor.outlet.raise_(code, subject_text(floor, window), t, cause, detail)


cdef int quiet(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause) except -1:
    """Clear it, if it was raised."""
    if window.trouble.alarms >> code & 1:
        floor.troubled(window).alarms &= ~(<uint64_t>1 << code)
        floor.outlet.clear(code, subject_text(floor, window), t, cause)
    return 0
