"""The mapping language of the site file: where each field of a canonical record comes from.

    [sources.NAME....record]
    kind  = { path = "ty", table = { C = "pick.confirm", S = "pick.short" } }
    src   = { template = "dc1/pick/{device}" }
    t     = { path = "ts", time = "epoch_ms" }
    seq   = { path = "n", wrap = 256 }
    task  = "job"                                     # short for { path = "job" }
    weight_g = { path = "scale.kg", unit = "kg" }

The left side is a field of the canonical record, the right side says where its value is. A path leads into the payload:
`a.b[0].c`; for registers and nodes it is the name that the site gave them. A name with dots or brackets in it stands in
quotes: `'a."b.c"'`. Inside `each`, a path begins at the element and `$.a.b` at the whole payload. `.` is the whole
element (or a payload that is one bare value).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Scalar = str | int | bool
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=64,
        description="a name of letters, digits and _ that does not begin with a digit",
    ),
]
Unit = Literal["g", "kg", "lb", "oz", "mm", "cm", "m", "in", "us", "ms", "s"]
TimeFormat = Literal["epoch_s", "epoch_ms", "epoch_us", "rfc3339"]


class FieldSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """Where one field's value comes from, and how it is read. Applied in the order in which they stand here.

    Exactly one origin:
    path: the place in the payload.
    const: always this value.
    capture: the named part of the topic (`dc1/pick/+device/evt` captures `device`).
    template: text with captures and payload values in it: `dc1/{area}/{device}`, `dc1/pick/{.dev}`, `dc1/{$.head.dev}`.

    Then:
    absent: values that mean "nothing there" (`[0, 65535]`); null and empty text always do.
    bit, bits: out of an integer, `bits` many (1) from bit number `bit` (0 is the lowest), as an integer.
    table: value -> value. Keys are written as text: `1`, `true`, `C`. A value that is not listed does not fit, unless
    other: what such a value becomes.
    scale: a number to multiply by, before `unit`. The result is rounded to an integer, half to even.
    unit: what the payload counts in. Weights become grams, lengths millimetres, durations microseconds.
    time: the form of a point in time: `epoch_s`, `epoch_ms`, `epoch_us` (default) or `rfc3339` (with an offset or Z).
    split: a text with this between its parts becomes a list (`codes`).
    trim: take blanks, control characters and NUL off both ends of a text (default); `false` leaves it as it is.
    wrap: only for `seq`: the counter goes back to 0 after `wrap` numbers (256 for 8 bits) and is counted on.
    default: what an absent value becomes.
    required: an absent value does not fit. Without it the field is left out.
    """

    path: Text | None = None
    const: Scalar | None = None
    capture: Text | None = None
    template: Text | None = None
    absent: list[Scalar] = []
    bit: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
    bits: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    table: Annotated[dict[str, Scalar], msgspec.Meta(min_length=1, max_length=10_000)] | None = None
    other: Scalar | None = None
    scale: int | float | None = None
    unit: Unit | None = None
    time: TimeFormat | None = None
    split: Annotated[str, msgspec.Meta(min_length=1, max_length=8)] | None = None
    trim: bool = True
    wrap: Annotated[int, msgspec.Meta(ge=4, le=1 << 32)] | None = None
    default: Scalar | None = None
    required: bool = False


RecordSettings = dict[str, FieldSettings | str]
"""Canonical field -> where it comes from; a bare string is a path."""

Constants = dict[str, Scalar]
"""Canonical field -> value, the same in every record. What the record table maps goes before it."""

When = dict[str, Scalar | list[Scalar]]
"""Path -> the value, or one of the values, that it must have. A payload of which any path has another value is not
meant: it makes no record, and no fault either."""


def field_settings(field: FieldSettings | str) -> FieldSettings:
    """The long form of a record table's entry."""
    return FieldSettings(path=field) if isinstance(field, str) else field
