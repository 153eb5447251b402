"""From what a payload holds to what the model wants: texts, integers, points in time. Pure; floats never come out.

Every function raises `Unfit`, whose text says what is wrong without showing the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

from protocols.mapping.settings import Scalar

INT_MAX = (1 << 63) - 1
DIGITS_MAX = 40

UNITS: Mapping[str, Fraction] = {
    "g": Fraction(1),
    "kg": Fraction(1000),
    "lb": Fraction("453.59237"),  # the international pound, exact by definition
    "oz": Fraction("28.349523125"),
    "mm": Fraction(1),
    "cm": Fraction(10),
    "m": Fraction(1000),
    "in": Fraction("25.4"),
    "us": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
}
"""Unit -> how many of the canonical unit (gram, millimetre, microsecond) it is."""

EPOCHS: Mapping[str, Fraction] = {"epoch_us": UNITS["us"], "epoch_ms": UNITS["ms"], "epoch_s": UNITS["s"]}

# blanks, the control characters of ASCII (PLC strings are padded with NUL, scanners end with CR LF), NBSP, BOM
_PADDING = "".join(map(chr, range(33))) + "\x7f\u00a0\ufeff"
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(ValueError):
    """A value that cannot become what the field needs."""


def key_text(value: object) -> str | None:
    """How a value is spelled as a key of a `table` or in `when`; None for lists and objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        try:
            return str(integer(value))
        except Unfit:
            return str(value)
    return None


def keys(values: Sequence[Scalar]) -> frozenset[str]:
    return frozenset(text for value in values if (text := key_text(value)) is not None)


def trimmed(value: str) -> str:
    return value.strip(_PADDING)


def text(value: object) -> str:
    """Texts as they are, whole numbers in decimal."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(integer(value))
    raise Unfit("not a text")


def number(value: object) -> Fraction:
    """The exact value of a number, or of a text that spells one."""
    if isinstance(value, bool):
        raise Unfit("not a number")
    if isinstance(value, int):
        return Fraction(_bounded(value))
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value := trimmed(value)):
            raise Unfit("not a number")
        return Fraction(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit("not a finite number")
        # the shortest decimal that is this float: 0.1 means a tenth, not its binary neighbour
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise Unfit("not a finite number")
        # an exponent of a thousand million would be written out
        if abs(value.adjusted()) > DIGITS_MAX:
            raise Unfit("out of range")
        return Fraction(value)
    raise Unfit("not a number")


def integer(value: object) -> int:
    """A whole number; a fraction does not fit, for rounding has to be asked for (`scale`, `unit`)."""
    exact = number(value)
    if exact.denominator != 1:
        raise Unfit("not a whole number")
    return _bounded(exact.numerator)


def scaled(value: object, factor: Fraction) -> int:
    """`value` times `factor`, rounded half to even."""
    return _bounded(round(number(value) * factor))


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    found = {"0": False, "1": True, "false": False, "true": True}.get(key_text(value) or "")
    if found is None:
        raise Unfit("not true or false")
    return found


def bits(value: object, first: int, width: int) -> int:
    whole = integer(value) if not isinstance(value, bool) else int(value)
    return (whole >> first) & ((1 << width) - 1)


def texts(value: object) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise Unfit("not a list")
    found = [trimmed(text(element)) for element in value]
    return [element for element in found if element]


def nested(value: object) -> object:
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str | bytes)):
        return value
    raise Unfit("not a list or an object")


def time_us(value: object, form: str) -> int:
    """Microseconds since 1970 UTC, of a point in time in one of the forms of `settings.TimeFormat`."""
    if form != "rfc3339":
        return scaled(value, EPOCHS[form])
    if not isinstance(value, str):
        raise Unfit("not an RFC 3339 time")
    return _rfc3339(trimmed(value))


def _rfc3339(value: str) -> int:
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise Unfit("not an RFC 3339 time with an offset or Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, utc, sign, offset_hours, offset_minutes = match.groups()[6:]
    try:
        # a leap second is 60 (RFC 3339 section 5.6); it counts as the first second of the next minute
        leap = second == 60
        zone = UTC if utc else _zone(sign, int(offset_hours), int(offset_minutes))
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=zone)
        whole = (moment - _EPOCH) // timedelta(seconds=1) + leap
    except ValueError:
        raise Unfit("not a time that exists") from None
    return _bounded(whole * 1_000_000 + round(Fraction(int(fraction or 0), 10 ** len(fraction or "")) * 1_000_000))


def _zone(sign: str, hours: int, minutes: int) -> timezone:
    if minutes > 59:
        raise ValueError
    return timezone(timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1))


def _bounded(value: int) -> int:
    if not -INT_MAX <= value <= INT_MAX:
        raise Unfit("out of range")
    return value
