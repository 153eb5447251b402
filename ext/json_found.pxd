"""A value on its way from a payload to a record: found, trimmed, counted. The C side of `protocols.mapping.values`.

Exact as the Python side: a number is a mantissa and a power of ten, rounded half to even where rounding was asked for.
What is rare there (signs, exponents, more than 18 digits, escapes) is for the Python side: DOUBTFUL.
"""

from libc.stdint cimport int64_t

from ext.json_bytes cimport Bytes, is_digit
from ext.json_types cimport T_FALSE, T_INT, T_NUMBER, T_TEXT, T_TRUE, Value

cdef extern from *:
    """
    typedef __int128 sortline_int128;
    static inline int sortline_scaled(
        int64_t mantissa, int64_t num, int64_t den, int places, int64_t top, int64_t *result
    ) {
        /* mantissa / 10^places * num / den, half to even; mantissa < 10^18, num and den < 2^31, places <= 18 */
        __int128 whole = (__int128)mantissa * num, by = den, half;
        while (places-- > 0)
            by *= 10;
        __int128 quotient = whole / by, rest = whole % by;
        half = rest * 2;
        if (half > by || (half == by && (quotient & 1)))
            quotient++;
        if (quotient > top)
            return 0;
        *result = (int64_t)quotient;
        return 1;
    }
    """
    bint scaled_fits "sortline_scaled"(
        int64_t mantissa, int64_t num, int64_t den, int places, int64_t top, int64_t* result) noexcept nogil

cdef enum What:
    NOTHING
    TEXT        # at, length: without quotes, nothing in it to escape
    WHOLE       # number, from 0
    DECIMAL     # at, length: its spelling
    YES
    NO
    READY       # at, length: JSON as it stands
    DOUBTFUL    # not for compiled plans

cdef struct Found:
    int what
    Bytes at
    Py_ssize_t length
    int64_t number


cdef inline Found found_in(const Value* value) noexcept nogil:
    cdef Found found = Found(what=DOUBTFUL, at=value.at, length=value.length, number=value.number)
    if value.token == T_TEXT:
        if value.length == value.resolved:
            found.what = TEXT
    elif value.token == T_INT:
        found.what = WHOLE
    elif value.token == T_NUMBER:
        found.what = DECIMAL
    elif value.token == T_TRUE:
        found.what = YES
    elif value.token == T_FALSE:
        found.what = NO
    return found


cdef inline void trim(Found* text) noexcept nogil:
    """Blanks, control characters, NBSP and BOM off both ends."""
    cdef Bytes at = text.at
    cdef Bytes end = at + text.length
    while at < end:
        if at[0] <= 32 or at[0] == 0x7F:
            at += 1
        elif end - at >= 2 and at[0] == 0xC2 and at[1] == 0xA0:
            at += 2
        elif end - at >= 3 and at[0] == 0xEF and at[1] == 0xBB and at[2] == 0xBF:
            at += 3
        else:
            break
    while at < end:
        if (end - 1)[0] <= 32 or (end - 1)[0] == 0x7F:
            end -= 1
        elif end - at >= 2 and (end - 2)[0] == 0xC2 and (end - 1)[0] == 0xA0:
            end -= 2
        elif end - at >= 3 and (end - 3)[0] == 0xEF and (end - 2)[0] == 0xBB and (end - 1)[0] == 0xBF:
            end -= 3
        else:
            break
    text.at = at
    text.length = end - at


cdef inline bint read_decimal(Bytes at, Py_ssize_t length, int64_t* mantissa, int* places) noexcept nogil:
    """Digits, perhaps a point and more digits; at most 18 of them. False: anything else."""
    cdef Bytes end = at + length
    cdef Bytes first = at
    cdef bint point = False
    mantissa[0] = 0
    places[0] = 0
    if length == 0 or length > 19 or not is_digit(at[0]) or not is_digit((end - 1)[0]):
        return False
    while at < end:
        if is_digit(at[0]):
            mantissa[0] = mantissa[0] * 10 + at[0] - c"0"
            places[0] += point
        elif at[0] == c"." and not point:
            point = True
        else:
            return False
        at += 1
    return at - first - point <= 18


cdef inline void make_whole(Found* found, int64_t num, int64_t den, int64_t top) noexcept nogil:
    """Times num / den, rounded; of den 0 unchanged, and then a fraction is doubtful."""
    cdef int64_t mantissa = found.number
    cdef int64_t by = 1
    cdef int places = 0
    if found.what == WHOLE and den == 0:
        if found.number > top:
            found.what = DOUBTFUL
        return
    if found.what == WHOLE:
        if mantissa >= 1000000000000000000LL:
            found.what = DOUBTFUL
            return
    elif found.what not in (TEXT, DECIMAL) or not read_decimal(found.at, found.length, &mantissa, &places):
        found.what = DOUBTFUL
        return
    found.what = WHOLE
    if den != 0:
        if not scaled_fits(mantissa, num, den, places, top, &found.number):
            found.what = DOUBTFUL
        return
    while places > 0:
        by *= 10
        places -= 1
    found.number = mantissa // by
    if mantissa % by != 0 or found.number > top:
        found.what = DOUBTFUL


# Points in time as texts.

cdef inline int digits(Bytes at, int count) noexcept nogil:
    """The number that so many digits make; -1: they are none."""
    cdef int i, number = 0
    for i in range(count):
        if not is_digit(at[i]):
            return -1
        number = number * 10 + at[i] - c"0"
    return number


cdef inline int64_t days_since_1970(int64_t year, int month, int day) noexcept nogil:
    """Of the Gregorian calendar, for years from 1970: counted from a year that begins in March."""
    cdef int64_t since, era, of_era
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    since = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + since - 719468


cdef inline int days_of(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31


cdef inline int64_t seconds_of(Bytes at) noexcept nogil:
    """Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`, 19 bytes; -1: doubtful."""
    cdef int year = digits(at, 4)
    cdef int month = digits(at + 5, 2)
    cdef int day = digits(at + 8, 2)
    cdef int hour = digits(at + 11, 2)
    cdef int minute = digits(at + 14, 2)
    cdef int second = digits(at + 17, 2)
    if at[4] != c"-" or at[7] != c"-" or at[13] != c":" or at[16] != c":":
        return -1
    if at[10] != c"T" and at[10] != c"t" and at[10] != c" ":
        return -1
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= days_of(year, month):
        return -1
    if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
        return -1
    return days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


cdef inline void make_time(Found* found, int64_t top) noexcept nogil:
    """Microseconds since 1970 UTC of an RFC 3339 text."""
    cdef Bytes at = found.at
    cdef Bytes end = at + found.length
    cdef int64_t seconds, fraction = 0
    cdef int64_t unit = 1
    cdef int places = 0
    cdef int hours, minutes
    if found.what != TEXT or found.length < 20:
        found.what = DOUBTFUL
        return
    found.what = DOUBTFUL
    seconds = seconds_of(at)
    at += 19
    if seconds < 0:
        return
    if at[0] == c".":
        at += 1
        while at < end and is_digit(at[0]) and places < 9:
            fraction = fraction * 10 + at[0] - c"0"
            places += 1
            at += 1
        if places == 0:
            return
        while places < 6:
            fraction *= 10
            places += 1
        while places > 6:
            unit *= 10
            places -= 1
    if end - at == 6 and (at[0] == c"+" or at[0] == c"-") and at[3] == c":":
        hours = digits(at + 1, 2)
        minutes = digits(at + 4, 2)
        if not 0 <= hours <= 23 or not 0 <= minutes <= 59:
            return
        seconds -= (hours * 3600 + minutes * 60) * (1 if at[0] == c"+" else -1)
    elif end - at != 1 or (at[0] != c"Z" and at[0] != c"z"):
        return
    found.number = fraction // unit
    fraction = 2 * (fraction % unit)
    if fraction > unit or (fraction == unit and found.number % 2 == 1):
        found.number += 1
    found.number += seconds * 1000000
    if 0 <= found.number <= top:
        found.what = WHOLE
