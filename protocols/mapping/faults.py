"""What `check` says about a record's description: everything that the types alone cannot refuse."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator

from engine.model import ENVELOPE, FIELDS, KINDS, Type
from protocols.mapping.paths import Path, PathFault, parse_path, parse_template
from protocols.mapping.plan import TIMES
from protocols.mapping.settings import Constants, FieldSettings, RecordSettings, When, field_settings

Fault = tuple[str, str]
"""(where, relative to the table; what is wrong and what to do)"""

_MAPPED = {**ENVELOPE, **FIELDS}
_WEIGHTS = frozenset({"g", "kg", "lb", "oz"})
_LENGTHS = frozenset({"mm", "cm", "m", "in"})


def record_faults(
    record: RecordSettings,
    *,
    constants: Constants | None = None,
    when: When | None = None,
    each: str | None = None,
    captures: Collection[str] = (),
    names: Collection[str] | None = None,
    table: str = "record",
) -> Iterator[Fault]:
    """All faults of a record table and what stands beside it. Paths begin with `table`, `constants.`, `when.`, `each`.

    `captures`: the names that the topic filter captures. `names`: where values have known names (registers, nodes),
    these names; None: any path may exist (JSON). A protocol that gives `src` by itself passes it in `constants`.
    """
    constants = constants or {}
    for name in ("kind", "src"):
        if name not in record and name not in constants:
            yield table, f'{name} is missing: {name} = "path", or {name} = {{ const = "..." }}'
    yield from ((table, fault) for fault in _lacking(record, constants))
    for name, value in constants.items():
        for where, fault in field_faults(name, FieldSettings(const=value), captures, names):
            yield _join(f"constants.{name}", where), fault
    for name, entry in record.items():
        field = field_settings(entry)
        if isinstance(entry, str) and name == "kind" and entry in KINDS:
            yield f"{table}.kind", f'a bare text is a path; for the kind itself write {{ const = "{entry}" }}'
            continue
        for where, fault in field_faults(name, field, captures, names):
            yield _join(f"{table}.{name}", where), fault
    for path in when or {}:
        yield from _path_faults(f"when.{path}", path, names)
    if each is not None:
        yield from _path_faults("each", each, names)


def _lacking(record: RecordSettings, constants: Constants) -> Iterator[str]:
    """What its kinds need and it does not give, where every record would be refused, whatever comes. If one of several
    kinds has what it needs, the others are refused when they come."""
    field = field_settings(record["kind"]) if "kind" in record else FieldSettings(const=constants.get("kind", ""))
    given = {*record, *constants}
    kinds = {field.const} if field.table is None else {*field.table.values(), field.other or field.default} - {None}
    lacking = {
        kind: min((needs - given for needs in KINDS[kind].required), key=len)
        for kind in kinds
        if isinstance(kind, str) and kind in KINDS
    }
    if len(lacking) == len(kinds) and all(lacking.values()):
        for kind, names in sorted(lacking.items()):
            yield f"{kind} without {', '.join(sorted(names))}: every record of it would be refused"


def field_faults(
    name: str, field: FieldSettings, captures: Collection[str] = (), names: Collection[str] | None = None
) -> Iterator[Fault]:
    """The faults of one field; where: the key inside it, or nothing for the field as a whole."""
    if name == "t_rx":
        yield "", "t_rx is stamped by the driver and cannot be mapped: the device's own time is t"
        return
    if name not in _MAPPED:
        yield "", f"the canonical record has no such field{_nearest(name, _MAPPED)}"
        return
    yield from _origin_faults(field, captures, names)
    yield from _form_faults(name, field, _MAPPED[name])
    if name == "kind":
        yield from _kind_faults(field)


def _origin_faults(field: FieldSettings, captures: Collection[str], names: Collection[str] | None) -> Iterator[Fault]:
    origins = [key for key in ("path", "const", "capture", "template") if getattr(field, key) is not None]
    if len(origins) != 1:
        yield "", f"needs exactly one of path, const, capture and template; it has {' and '.join(origins) or 'none'}"
    if field.path is not None:
        yield from _path_faults("path", field.path, names)
    if field.capture is not None:
        yield from _capture_faults("capture", field.capture, captures)
    if field.template is None:
        return
    try:
        template = parse_template(field.template)
    except PathFault as fault:
        yield "template", str(fault)
        return
    for capture in template.captures:
        yield from _capture_faults("template", capture, captures)
    for part in template.parts:
        if isinstance(part, Path):
            yield from _name_faults("template", part, names)


def _capture_faults(where: str, capture: str, captures: Collection[str]) -> Iterator[Fault]:
    if capture not in captures:
        known = f"captured are {', '.join(sorted(captures))}" if captures else "nothing is captured here"
        yield where, f"nothing captures {capture!r}: {known}; a value of the payload is written {{.{capture}}}"


def _path_faults(where: str, text: str, names: Collection[str] | None) -> Iterator[Fault]:
    try:
        path = parse_path(text)
    except PathFault as fault:
        yield where, str(fault)
        return
    yield from _name_faults(where, path, names)


def _name_faults(where: str, path: Path, names: Collection[str] | None) -> Iterator[Fault]:
    if names is None or path.whole in names or not path.steps or path.steps[0] in names:
        return
    yield where, f"no value is named {path.steps[0]!r}{_nearest(str(path.steps[0]), names)}"


def _form_faults(name: str, field: FieldSettings, wanted: Type) -> Iterator[Fault]:
    """Options that cannot have a meaning for a field of this type."""
    numeric = wanted is Type.INT
    if (field.scale is not None or field.unit is not None) and (not numeric or field.time is not None):
        yield "scale" if field.scale is not None else "unit", "only for integer fields, and not together with time"
    if field.scale is not None and not (math.isfinite(field.scale) and field.scale > 0):
        yield "scale", "has to be a number above 0"
    if field.time is not None and name not in TIMES:
        yield "time", f"only for points in time: {', '.join(sorted(TIMES))}"
    if field.unit is not None and numeric and not _unit_fits(name, field.unit):
        yield "unit", f"{field.unit!r} does not measure {name}"
    if field.split is not None and wanted is not Type.TEXTS:
        yield "split", "only for fields that are lists of texts"
    if field.wrap is not None and name != "seq":
        yield "wrap", "only for seq"
    if field.bits != 1 and field.bit is None:
        yield "bits", "needs bit: the number of the lowest bit, from 0"
    if field.other is not None and field.table is None:
        yield "other", "needs a table"
    if field.required and field.default is not None:
        yield "required", "a field with a default is never missing: drop one of the two"
    if field.default is not None and not _value_fits(field.default, wanted):
        yield "default", f"{name} is {_SPOKEN[wanted]}"
    # with a table or in another form a constant is not yet the field's value
    plain = all(option is None for option in (field.table, field.time, field.split, field.unit, field.scale))
    if plain and field.const is not None and not _value_fits(field.const, wanted):
        yield "const", f"{name} is {_SPOKEN[wanted]}"


_SPOKEN = {
    Type.TEXT: "a text",
    Type.INT: "an integer of 0 or more",
    Type.BOOL: "true or false",
    Type.TEXTS: "a list: give a path",
    Type.NESTED: "a list: give a path",
}


def _unit_fits(name: str, unit: str) -> bool:
    if unit in _WEIGHTS:
        return name.endswith("_g")
    if unit in _LENGTHS:
        return name.endswith("_mm")
    return name in TIMES


def _value_fits(value: object, wanted: Type) -> bool:
    if wanted is Type.TEXT:
        return isinstance(value, str) and value != ""
    if wanted is Type.BOOL:
        return isinstance(value, bool)
    return wanted is Type.INT and isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kind_faults(field: FieldSettings) -> Iterator[Fault]:
    named = [("const", field.const), ("default", field.default), ("other", field.other)]
    named += [(f"table.{key}", value) for key, value in (field.table or {}).items()]
    for where, kind in named:
        # with a table a constant is a key of it, not a kind
        a_key = where == "const" and field.table is not None
        if kind is not None and kind not in KINDS and not a_key:
            yield where, f"there is no kind {kind!r}{_nearest(str(kind), KINDS)}"


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _join(parent: str, where: str) -> str:
    return f"{parent}.{where}" if where else parent
