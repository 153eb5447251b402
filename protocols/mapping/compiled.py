"""Plans of `plan`, compiled: bytes of a payload to canonical lines without a Python object on the way.

fast = compile_lines(record, constants=..., when=..., each=..., captures=["device"], sequences=sequences)
if fast is None or not fast.lines(payload, [b"PTL-01"], t_rx, block): the plan of `plan.compile_record` says it

A compiled plan takes what is common and leaves alone what is rare or does not fit, and what it takes it makes the same
line of (canonical payloads: the same record). So it is always used together with the plan that it was compiled from.

Not compiled: lists and nested fields, fields that mean two things (`count`, `scope`, `freight`), a mapped `sub`, and a
counter (`wrap`) out of each element of a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import msgspec

from engine.errors import DecodeError
from engine.model import ENVELOPE, FIELDS, KINDS, SRC_BYTES_MAX, TEXT_BYTES_MAX, Type, field_type
from engine.records import make_decoder
from ext.canonical_lines import CanonicalLines
from ext.line_plan import JsonPath, LinePlan
from ext.ndjson import NdjsonDecoder
from ext.record_lines import RecordLines
from ext.texts import Texts
from protocols.mapping.lines import TOP, check_value
from protocols.mapping.paths import Capture, Path, Scope, parse_path, parse_template
from protocols.mapping.payload import PAYLOAD_BYTES_MAX
from protocols.mapping.plan import FieldPlan, listed
from protocols.mapping.sequence import Sequences
from protocols.mapping.settings import Constants, FieldSettings, RecordSettings, Scalar, When, field_settings
from protocols.mapping.values import EPOCHS, INT_MAX, Unfit, keys

FACTOR_MAX = 2**31 - 1
FIELDS_MAX = 63
CONSTANTS_MAX = 64
TWO_MEANINGS = frozenset(
    name for kind in KINDS for name in FIELDS if field_type(kind, name) is not FIELDS[name]
)  # fmt: skip
SPOKEN = {Type.TEXT: "text", Type.INT: "int", Type.BOOL: "bool"}
TOKENS: dict[type, int] = {str: 0, int: 1}
"""The tokens of `ext.json_types.Token`; true is 3 and false is 4."""


class NotCompiled(Exception):
    """This plan has something that only the Python side knows."""


def compile_lines(
    record: RecordSettings,
    *,
    constants: Constants | None = None,
    when: When | None = None,
    each: str | None = None,
    captures: Sequence[str] = (),
    sequences: Sequences | None = None,
    of_text: bool = False,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
) -> LinePlan | None:
    """The compiled `plan.compile_record`; None: it has something that is not compiled. The arguments are the same.

    `captures`: the names that a topic captures, in the order in which `LinePlan.lines` gets them. `of_text`: the
    payload is a bare text.
    """
    settings = {name: FieldSettings(const=value) for name, value in (constants or {}).items()}
    settings |= {name: field_settings(field) for name, field in record.items()}
    sequences = sequences or Sequences(lambda src: None)
    names = sorted(settings)
    modulus = settings["seq"].wrap if "seq" in settings else None
    try:
        _check_compiles(settings, each, of_text)
        fields = [_field(name, settings[name], captures) for name in names]
        needs = [_needs(kind, names) for kind in KINDS]
        return RecordLines(
            fields,
            [kind.encode() for kind in KINDS],
            needs,
            modulus or 0,
            sequences,
            each=_path(parse_path(each)) if each is not None else None,
            when=_when(when),
            of_text=of_text,
            payload_bytes_max=payload_bytes_max,
        )
    except NotCompiled:
        return None


def compile_canonical(
    constants: Constants | None = None,
    when: When | None = None,
    each: str | None = None,
    payload_bytes_max: int = PAYLOAD_BYTES_MAX,
) -> LinePlan | None:
    """The compiled `plan.CanonicalPlan`; None: it has something that is not compiled."""
    try:
        return CanonicalLines(
            _model(),
            [_constant(name, value) for name, value in (constants or {}).items()],
            each=_path(parse_path(each)) if each is not None else None,
            when=_when(when),
            of_text=False,
            payload_bytes_max=payload_bytes_max,
        )
    except NotCompiled:
        return None


@cache
def _model() -> NdjsonDecoder:
    return make_decoder(Texts())


def _check_compiles(settings: dict[str, FieldSettings], each: str | None, of_text: bool) -> None:
    if "sub" in settings or TWO_MEANINGS & settings.keys() or len(settings) > FIELDS_MAX:
        raise NotCompiled
    if not {"kind", "src"} <= settings.keys():
        raise NotCompiled
    if of_text and (each is not None or not all(field.trim for field in settings.values())):
        raise NotCompiled
    seq = settings.get("seq")
    # what was counted on for one element must not count again when the next one is not for this plan
    if seq is not None and seq.wrap is not None and each is not None and not (seq.path or "").startswith("$"):
        raise NotCompiled


def _path(path: Path) -> JsonPath:
    for name in (path.whole, *path.steps):
        if isinstance(name, str):
            _plain(name)  # it is looked for as it stands
    return JsonPath(path.from_root, path.whole, path.steps)


def _when(when: When | None) -> list[tuple[JsonPath, list[bytes]]]:
    return [(_path(parse_path(path)), _spelled(listed(wanted))) for path, wanted in (when or {}).items()]


def _spelled(values: Sequence[Scalar]) -> list[bytes]:
    return sorted(text.encode() for text in keys(values))


def _needs(kind: str, names: Sequence[str]) -> list[int]:
    """Alternatives of required fields as masks; those that the record can never have are left out."""
    return [
        sum(1 << names.index(name) for name in required) for required in KINDS[kind].required if required <= set(names)
    ]


def _field(name: str, settings: FieldSettings, captures: Sequence[str]) -> dict[str, Any]:
    """A field as `ext.record_lines.RecordLines` wants it."""
    wanted = ENVELOPE.get(name) or FIELDS.get(name)
    if wanted not in SPOKEN:
        raise NotCompiled
    plan = FieldPlan(name, settings)
    return {
        "name": name,
        "wanted": SPOKEN[wanted],
        "path": _path(parse_path(settings.path)) if settings.path is not None else None,
        "capture": _capture(settings.capture, captures) if settings.capture is not None else -1,
        "parts": _parts(settings.template, captures) if settings.template is not None else None,
        "constant": _constant_value(plan, settings),
        "absent": _spelled(settings.absent),
        "bit": -1 if settings.bit is None else settings.bit,
        "bits": settings.bits,
        "table": _table(plan, settings),
        "other": ... if settings.other is None else _table_value(plan, settings.other),
        "factor": _factor(plan, settings),
        "rfc3339": settings.time == "rfc3339",
        "top": TOP.get(name, INT_MAX) if wanted is Type.INT else SRC_BYTES_MAX if name == "src" else TEXT_BYTES_MAX,
        "trim": settings.trim,
        "default": None if settings.const is not None else _ready(name, settings.default),
        "required": settings.required and settings.const is None,
    }


def _capture(name: str, captures: Sequence[str]) -> int:
    if name not in captures:
        raise NotCompiled
    return captures.index(name)


def _parts(template: str, captures: Sequence[str]) -> list[bytes | int | JsonPath]:
    found: list[bytes | int | JsonPath] = []
    for part in parse_template(template).parts:
        if isinstance(part, str):
            found.append(_plain(part))
        elif isinstance(part, Capture):
            found.append(_capture(part.name, captures))
        else:
            found.append(_path(part))
    return found


def _constant_value(plan: FieldPlan, settings: FieldSettings) -> object:
    if settings.const is None:
        return None
    try:
        return _ready(plan.name, plan.value(Scope(None, None, {}), ""))
    except DecodeError:
        raise NotCompiled from None


def _table(plan: FieldPlan, settings: FieldSettings) -> dict[bytes, object] | None:
    if settings.table is None:
        return None
    return {key.encode(): _table_value(plan, value) for key, value in settings.table.items()}


def _table_value(plan: FieldPlan, value: Scalar) -> object:
    """What a table's value becomes in the end; ...: it does not fit."""
    try:
        return _ready(plan.name, plan.present(plan.typed(value, "")))
    except (Unfit, NotCompiled):
        return ...


def _ready(name: str, value: object) -> object:
    """A value that is known beforehand: text as bytes, number, truth, None for nothing, ... for what does not fit."""
    if value is None:
        return None
    wanted = ENVELOPE.get(name) or FIELDS[name]
    try:
        check_value(name, value, wanted)
    except DecodeError:
        return ...
    return _plain(value) if isinstance(value, str) else value


def _plain(text: str) -> bytes:
    """A text that JSON writes as it is."""
    raw = msgspec.json.encode(text)
    if raw != b'"%b"' % text.encode():
        raise NotCompiled
    return raw[1:-1]


def _factor(plan: FieldPlan, settings: FieldSettings) -> tuple[int, int]:
    """(numerator, denominator); denominator 0: a whole number as it is."""
    factor = plan.factor
    if settings.time is not None and settings.time != "rfc3339":
        factor = EPOCHS[settings.time]
    if factor is None:
        return 1, 0
    if not isinstance(factor, Fraction) or max(factor.numerator, factor.denominator) > FACTOR_MAX:
        raise NotCompiled
    return factor.numerator, factor.denominator


def _constant(name: str, value: Scalar) -> tuple[str, bytes, bytes, int, int]:
    if name in TWO_MEANINGS or name not in {**ENVELOPE, **FIELDS}:
        raise NotCompiled
    token = 3 + (not value) if isinstance(value, bool) else TOKENS[type(value)]
    raw = b'"%b"' % _plain(value) if isinstance(value, str) else msgspec.json.encode(value)
    number = value if isinstance(value, int) and not isinstance(value, bool) else 0
    return name, b'"%b":' % name.encode(), raw, token, number
