"""A record's description, compiled once; then payload after payload becomes canonical records.

plan = compile_record(settings.record, sequences=Sequences(intake.position))
for record in plan.records(values, captures, t_rx):
    line = encode_line(record)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

from engine.errors import DecodeError
from engine.model import ENVELOPE, Type, field_type
from protocols.mapping.lines import encode_line
from protocols.mapping.paths import Capture, Path, Scope, Template, parse_path, parse_template
from protocols.mapping.sequence import Sequences
from protocols.mapping.settings import (
    Constants,
    FieldSettings,
    RecordSettings,
    Scalar,
    When,
    field_settings,
)
from protocols.mapping.values import (
    UNITS,
    Unfit,
    bits,
    boolean,
    integer,
    key_text,
    keys,
    nested,
    scaled,
    text,
    texts,
    time_us,
    trimmed,
)

TIMES = frozenset({"t", "t_from", "t_to", "ship_by", "cutoff", "deadline", "as_of"})
"""The fields that are points in time."""

NO_CAPTURES: Mapping[str, str] = {}
"""For protocols without topics."""

Origin = Callable[[Scope], object | None]


class FieldPlan:
    """One field: `value` is what the record gets; None is absent. Raises DecodeError with the field's name."""

    def __init__(self, name: str, settings: FieldSettings) -> None:
        self.name = name
        self._settings = settings
        self._origin = _origin(settings)
        self._absent = keys(settings.absent)
        self.factor = _factor(settings)

    def value(self, scope: Scope, kind: str) -> object | None:
        settings = self._settings
        try:
            found = self.present(self._origin(scope))
            if found is not None:
                found = self.present(self.typed(self._looked_up(found), kind))
        except Unfit as fault:
            raise DecodeError(f"{self.name}: {fault}") from None
        if found is not None:
            return found
        if settings.required and settings.default is None:
            raise DecodeError(f"{self.name}: missing")
        return settings.default

    def present(self, value: object | None) -> object | None:
        """None for what means that nothing is there. Texts are trimmed on the way."""
        if isinstance(value, str):
            value = trimmed(value) if self._settings.trim else value
            if not value:
                return None
        return None if self._absent and key_text(value) in self._absent else value

    def _looked_up(self, value: object) -> object:
        settings = self._settings
        if settings.bit is not None:
            value = bits(value, settings.bit, settings.bits)
        if settings.table is None:
            return value
        found = settings.table.get(key_text(value) or "", settings.other)
        if found is None:
            raise Unfit("not in its table")
        return found

    def typed(self, value: object, kind: str) -> object:
        wanted = ENVELOPE.get(self.name) or field_type(kind, self.name)
        if wanted is Type.TEXT:
            return text(value)
        if wanted is Type.INT:
            return self._whole(value)
        if wanted is Type.BOOL:
            return boolean(value)
        if wanted is Type.TEXTS:
            if self._settings.split is not None and isinstance(value, str):
                value = value.split(self._settings.split)
            return texts(value) or None
        return nested(value) if wanted is Type.NESTED else value

    def _whole(self, value: object) -> int:
        if self._settings.time is not None:
            return time_us(value, self._settings.time)
        return integer(value) if self.factor is None else scaled(value, self.factor)


class Selection:
    """Which parts of a payload are meant: all of it, the elements of a list (`each`), those that pass `when`."""

    def __init__(self, when: When | None = None, each: str | None = None) -> None:
        self._when = [(parse_path(path), keys(listed(wanted))) for path, wanted in (when or {}).items()]
        self._each = None if each is None else parse_path(each)

    def scopes(self, values: object, captures: Mapping[str, str]) -> list[tuple[int, Scope]]:
        """(place in the `each` list, what to read the record from). Raises DecodeError: `each` is not a list."""
        whole = Scope(values, values, captures)
        if self._each is None:
            return [(0, whole)] if self.meant(whole) else []
        elements = self._each.follow(whole)
        if elements is None:
            return []
        if not isinstance(elements, Sequence) or isinstance(elements, str | bytes):
            raise DecodeError("each: not a list")
        scopes = ((sub, Scope(element, values, captures)) for sub, element in enumerate(elements))
        return [(sub, scope) for sub, scope in scopes if self.meant(scope)]

    def meant(self, scope: Scope) -> bool:
        """Whether `when` takes what is there."""
        return all(key_text(path.follow(scope)) in wanted for path, wanted in self._when)


class Plan(Protocol):
    """What turns a payload into records."""

    def scopes(self, values: object, captures: Mapping[str, str]) -> list[tuple[int, Scope]]:
        """What is meant in a payload, as `Selection.scopes`."""

    def record(self, scope: Scope, sub: int, t_rx: int) -> dict[str, object]:
        """One record out of one scope of the selection. `t_rx`: microseconds. Raises DecodeError."""


class RecordPlan:
    """Machine's own payloads, by a record table: see `compile_record`."""

    def __init__(
        self, fields: Mapping[str, FieldPlan], selection: Selection, wrap: int | None, sequences: Sequences
    ) -> None:
        self._selection = selection
        self._kind = fields["kind"]
        self._fields = [field for name, field in fields.items() if name != "kind"]
        self._wrap = wrap
        self._sequences = sequences

    def records(self, values: object, captures: Mapping[str, str], t_rx: int) -> list[dict[str, object]]:
        """All records of a payload: none if it is not meant, several under `each` (`sub` is the place in the list).

        Raises DecodeError at the first that does not fit. To keep the others, go through `scopes` and `record`.
        """
        return [self.record(scope, sub, t_rx) for sub, scope in self.scopes(values, captures)]

    def scopes(self, values: object, captures: Mapping[str, str] = NO_CAPTURES) -> list[tuple[int, Scope]]:
        """See `Selection.scopes`."""
        return self._selection.scopes(values, captures)

    def meant(self, scope: Scope) -> bool:
        """Whether `when` takes what is there."""
        return self._selection.meant(scope)

    def build(self, values: Mapping[str, object], captures: Mapping[str, str], t_rx: int) -> dict[str, object]:
        """The one record of a payload, whatever `when` and `each` say. Raises DecodeError."""
        return self.record(Scope(values, values, captures), 0, t_rx)

    def record(self, scope: Scope, sub: int, t_rx: int) -> dict[str, object]:
        """See `Plan.record`."""
        kind = self._kind.value(scope, "")
        if kind is None:
            raise DecodeError("kind: missing")
        record: dict[str, object] = {"kind": kind, "t_rx": t_rx}
        if sub:
            record["sub"] = sub
        for field in self._fields:
            value = field.value(scope, str(kind))
            if value is not None:
                record[field.name] = value
        if "src" not in record:
            raise DecodeError("src: missing")
        if self._wrap is not None:
            self._count_on(record, self._wrap)
        return record

    def _count_on(self, record: dict[str, object], modulus: int) -> None:
        raw, epoch = record.pop("seq", None), record.get("epoch", 0)
        if not isinstance(raw, int) or not isinstance(epoch, int):
            return
        try:
            seq = self._sequences.unwrap(str(record["src"]), epoch, raw, modulus)
        except ValueError as fault:
            raise DecodeError(f"seq: {fault}") from None
        if seq is not None:
            record["seq"] = seq


class CanonicalPlan:
    """Payloads that are canonical records already. `constants`: fields for records that lack them."""

    def __init__(self, constants: Constants | None = None, selection: Selection | None = None) -> None:
        self._selection = selection or Selection()
        self._constants = constants or {}

    def scopes(self, values: object, captures: Mapping[str, str] = NO_CAPTURES) -> list[tuple[int, Scope]]:
        """See `Selection.scopes`."""
        return self._selection.scopes(values, captures)

    def record(self, scope: Scope, sub: int, t_rx: int) -> dict[str, object]:
        """See `Plan.record`. A `t_rx` of the payload is replaced: it is ours to say."""
        if not isinstance(scope.item, Mapping):
            raise DecodeError("record: not an object")
        record: dict[str, object] = {**self._constants, **scope.item, "t_rx": t_rx}
        if record.get("kind") == "clock.tick":
            raise DecodeError("kind: clock.tick is the engine's own")
        if sub:
            record.setdefault("sub", sub)
        return record


class Lines(NamedTuple):
    """Canonical lines of one payload, and the causes of what did not fit in it."""

    lines: list[bytes]
    causes: list[str]


def canonical_lines(plan: Plan, values: object, captures: Mapping[str, str], t_rx: int) -> Lines:
    """All records of a payload as lines. One that does not fit is a cause and costs the others nothing."""
    found = Lines([], [])
    try:
        scopes = plan.scopes(values, captures)
    except DecodeError as error:
        return Lines([], [error.cause])
    for sub, scope in scopes:
        try:
            found.lines.append(encode_line(plan.record(scope, sub, t_rx)))
        except DecodeError as error:
            found.causes.append(error.cause)
    return found


class Described(Protocol):
    """The options of the site file that say what a payload means, whatever it comes by."""

    @property
    def format(self) -> str: ...
    @property
    def record(self) -> RecordSettings: ...
    @property
    def constants(self) -> Constants: ...
    @property
    def when(self) -> When: ...
    @property
    def each(self) -> str | None: ...


def compile_plan(described: Described, sequences: Sequences) -> Plan:
    """What its payloads mean: canonical records already, or see `compile_record`."""
    if described.format == "canonical":
        return CanonicalPlan(described.constants, Selection(described.when, described.each))
    return compile_record(
        described.record,
        constants=described.constants,
        when=described.when,
        each=described.each,
        sequences=sequences,
    )


def compile_record(
    record: RecordSettings,
    *,
    constants: Constants | None = None,
    when: When | None = None,
    each: str | None = None,
    sequences: Sequences | None = None,
) -> RecordPlan:
    """Compile a record table that `faults.record_faults` finds nothing wrong with (else: PathFault or KeyError).

    `constants`: the same in every record unless the table maps the field. `when`: which payloads (elements under
    `each`) are meant. `each`: path of a list whose elements are a record each. `sequences`: the driver's counters.
    """
    settings = {name: FieldSettings(const=value) for name, value in (constants or {}).items()}
    settings |= {name: field_settings(field) for name, field in record.items()}
    return RecordPlan(
        {name: FieldPlan(name, field) for name, field in settings.items()},
        Selection(when, each),
        settings["seq"].wrap if "seq" in settings else None,
        sequences or Sequences(lambda src: None),
    )


def listed(value: Scalar | list[Scalar]) -> list[Scalar]:
    return value if isinstance(value, list) else [value]


def _factor(settings: FieldSettings) -> Fraction | None:
    if settings.scale is None and settings.unit is None:
        return None
    # through its decimal spelling: 0.1 in the site file means a tenth
    scale = Fraction(1) if settings.scale is None else Fraction(str(settings.scale))
    return scale * (Fraction(1) if settings.unit is None else UNITS[settings.unit])


def _origin(settings: FieldSettings) -> Origin:
    if settings.path is not None:
        return parse_path(settings.path).follow
    if settings.template is not None:
        return _filled(parse_template(settings.template))
    capture, const = settings.capture, settings.const
    if capture is not None:
        return lambda scope: scope.captures.get(capture)
    return lambda scope: const


def _filled(template: Template) -> Origin:
    def fill(scope: Scope) -> str | None:
        parts = []
        for part in template.parts:
            found = _part(part, scope)
            if found is None:
                return None
            parts.append(found)
        return "".join(parts)

    return fill


def _part(part: str | Capture | Path, scope: Scope) -> str | None:
    """A template with any part absent is absent as a whole."""
    if isinstance(part, str):
        return part
    value = scope.captures.get(part.name) if isinstance(part, Capture) else part.follow(scope)
    return (trimmed(text(value)) or None) if value is not None else None
