"""A canonical record as a line of canonical JSON: keys sorted, no blanks, UTF-8, no line end.

The last check before the journal: what passes here fits the model (kind, required fields, types and ranges).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.errors import DecodeError
from engine.model import ENVELOPE, KINDS, SRC_BYTES_MAX, TEXT_BYTES_MAX, Type, field_type
from protocols.mapping.values import INT_MAX

KEYS_MAX = 256
TIME_MAX = 7_258_118_400_000_000  # the year 2200, in microseconds
TOP = {"t": TIME_MAX, "t_rx": TIME_MAX, "line": 2**31 - 1, "sub": 2**31 - 1}
"""The greatest value of an integer field, where that is not INT_MAX: the decoder behind the journal refuses more."""

_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="number")


def encode_line(record: Mapping[str, object]) -> bytes:
    """The line. A field that is None is left out; one that the model does not know is kept as it is.

    Raises DecodeError: no or unknown kind, a required field missing, a wrong type, out of range, no `t_rx`.
    """
    present = {name: value for name, value in record.items() if value is not None}
    if len(present) > KEYS_MAX:
        raise DecodeError("record: too many fields")
    kind = present.get("kind")
    if kind is None:
        raise DecodeError("kind: missing")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DecodeError("kind: unknown")
    if "src" not in present and kind != "clock.tick":
        raise DecodeError("src: missing")
    if "t_rx" not in present:
        raise DecodeError("t_rx: missing")
    for name, value in present.items():
        wanted = ENVELOPE.get(name) or field_type(kind, name)
        if wanted is not None and wanted is not Type.ANY:
            check_value(name, value, wanted)
    _check_required(kind, present)
    try:
        return _ENCODER.encode(present)
    except (UnicodeEncodeError, TypeError, RecursionError, ValueError):
        raise DecodeError("record: cannot be written as JSON") from None


def _check_required(kind: str, record: Mapping[str, object]) -> None:
    alternatives = KINDS[kind].required
    if not any(names <= record.keys() for names in alternatives):
        lacking = min((sorted(names - record.keys()) for names in alternatives), key=len)
        raise DecodeError(f"{', '.join(lacking)}: missing in {kind}")


def check_value(name: str, value: object, wanted: Type) -> None:
    if wanted is Type.INT:
        if not isinstance(value, int) or isinstance(value, bool):
            raise DecodeError(f"{name}: not an integer")
        if not 0 <= value <= TOP.get(name, INT_MAX):
            raise DecodeError(f"{name}: out of range")
    elif wanted is Type.TEXT:
        _check_text(name, value, SRC_BYTES_MAX if name == "src" else TEXT_BYTES_MAX)
    elif wanted is Type.BOOL:
        if not isinstance(value, bool):
            raise DecodeError(f"{name}: not true or false")
    else:
        _check_list(name, value, wanted)


def _check_text(name: str, value: object, bytes_max: int) -> None:
    if not isinstance(value, str):
        raise DecodeError(f"{name}: not a text")
    if not value:
        raise DecodeError(f"{name}: empty")
    # four bytes a character at most: only a long text has to be encoded to know
    if len(value) * 4 > bytes_max and len(value.encode("utf-8", "surrogatepass")) > bytes_max:
        raise DecodeError(f"{name}: longer than {bytes_max} bytes")


def _check_list(name: str, value: object, wanted: Type) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise DecodeError(f"{name}: not a list")
    for element in value:
        if wanted is Type.TEXTS:
            _check_text(f"{name}[]", element, TEXT_BYTES_MAX)
        elif _has_fraction(element):
            raise DecodeError(f"{name}[]: not an integer")


def _has_fraction(value: object) -> bool:
    """Whether a float is anywhere inside: quantities are integers (contract section 1)."""
    if isinstance(value, float | Decimal):
        return True
    if isinstance(value, Mapping):
        return any(map(_has_fraction, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(map(_has_fraction, value))
    return False
