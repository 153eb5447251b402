"""One telegram in, what it is and its canonical line out. Pure: no I/O, no clock, no logging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.errors import DecodeError
from protocols.mapping.lines import encode_line
from protocols.mapping.plan import RecordPlan, compile_record
from protocols.mapping.settings import Scalar, When
from protocols.mapping.values import key_text
from protocols.telegram.numbers import Numbers
from protocols.telegram.settings import PLACEHOLDER, Field, Fields, Settings

Value = str | int
Values = dict[str, Value]


class Reading(NamedTuple):
    """The header of a telegram. `raw`: its fields as they were sent."""

    content: bytes
    values: Values
    raw: Mapping[str, bytes]


class Decoder:
    """All telegrams of one device. `numbers`: its counter, which every telegram that is numbered moves."""

    def __init__(self, settings: Settings, numbers: Numbers | None) -> None:
        self._settings = settings
        self._numbers = numbers
        constants: dict[str, Scalar] = {"src": settings.src}
        self._plans = [
            compile_record(telegram.record, constants=constants) if telegram.record else None
            for telegram in settings.telegrams
        ]

    def read(self, content: bytes) -> Reading:
        """Raises DecodeError: it is shorter than its header, or a field is not what it should be."""
        values, raw = _fields(self._settings.header, content, self._settings.encoding)
        return Reading(content, values, raw)

    def is_life(self, reading: Reading) -> bool:
        life = self._settings.life
        return life is not None and bool(life.when) and _fits(life.when, reading.values)

    def is_restart(self, reading: Reading) -> bool:
        return bool(self._settings.restart) and _fits(self._settings.restart, reading.values)

    def restart(self, reading: Reading, t_rx: int) -> bytes | None:
        """The device counts anew: a record that means nothing else, so that the new epoch is as durable as what it was
        acknowledged for. None: it does not count."""
        if self._settings.number is None or self._numbers is None:
            return None
        raw = reading.values.get(self._settings.number.field)
        epoch, seq = self._numbers.restart(raw if isinstance(raw, int) else None)
        # beside the telegrams, one of which may have the same number
        record = {"src": self._settings.src, "kind": "machine.state", "epoch": epoch, "seq": seq, "sub": 1}
        return encode_line({**record, "t_rx": t_rx})

    def line(self, reading: Reading, t_rx: int) -> bytes | None:
        """The record; None: it means nothing to us, and has no number, which would be missing among the others (R6).
        Raises DecodeError; its number is used up all the same."""
        try:
            values, plan = self._described(reading)
            record = plan.build(values, {}, t_rx) if plan is not None else None
        except DecodeError:
            self._number(reading, None)
            raise
        if record is None and self._numbers is not None:
            record = {"src": self._settings.src, "kind": "telemetry", "t_rx": t_rx}
        number = self._number(reading, encode_line(record) if record is not None else None)
        if record is None:
            return None
        if number is not None:
            record["epoch"], record["seq"] = number
        return encode_line(record)

    def _number(self, reading: Reading, line: bytes | None) -> tuple[int, int] | None:
        settings = self._settings.number
        if settings is None or self._numbers is None:
            return None
        raw = reading.values.get(settings.field)
        number = self._numbers.place(raw, reading.content, line) if isinstance(raw, int) else None
        if number is None:
            raise DecodeError(f"{settings.field}: no number between number.first and number.last")
        return number

    def _described(self, reading: Reading) -> tuple[Values, RecordPlan | None]:
        fault: DecodeError | None = None
        for telegram, plan in zip(self._settings.telegrams, self._plans, strict=True):
            try:
                own, _ = _fields(telegram.fields, reading.content, self._settings.encoding)
            except DecodeError as error:
                if _fits_so_far(telegram.when, reading.values):
                    fault = fault or error
                continue
            values = reading.values | own
            if _fits(telegram.when, values):
                return values, plan
        raise fault or DecodeError("no description fits: add it to telegrams, without a record if it means nothing")


def fill(template: str, raw: Mapping[str, bytes]) -> bytes:
    """A template with the fields as they were sent."""
    parts = PLACEHOLDER.split(template)
    return b"".join(raw.get(part, b"") if index % 2 else part.encode("latin-1") for index, part in enumerate(parts))


def _fields(fields: Fields, content: bytes, encoding: str) -> tuple[Values, dict[str, bytes]]:
    values: Values = {}
    raw: dict[str, bytes] = {}
    for name, field in fields.items():
        end = len(content) if field.length is None else field.at + field.length
        if field.at > len(content) or end > len(content):
            raise DecodeError(f"{name}: the telegram ends before it")
        raw[name] = content[field.at : end]
        value = _value(name, field, raw[name], encoding)
        if value is not None:
            values[name] = value
    return values, raw


def _value(name: str, field: Field, raw: bytes, encoding: str) -> Value | None:
    if field.type == "binary":
        return int.from_bytes(raw, "big")
    if field.type == "binary_little":
        return int.from_bytes(raw, "little")
    if field.type == "decimal":
        digits = raw.strip(b" \0")
        if not digits:
            return None
        if not digits.isdigit() or len(digits) > 18:
            raise DecodeError(f"{name}: not decimal")
        return int(digits)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise DecodeError(f"{name}: not {encoding}") from None
    return text.strip(" \0") or None


def _fits(when: When, values: Values) -> bool:
    return all(key_text(values.get(name)) in _wanted(wanted) for name, wanted in when.items())


def _fits_so_far(when: When, values: Values) -> bool:
    """As far as the header tells."""
    return bool(when) and all(
        key_text(values[name]) in _wanted(wanted) for name, wanted in when.items() if name in values
    )


def _wanted(wanted: Scalar | list[Scalar]) -> set[str | None]:
    return {key_text(value) for value in (wanted if isinstance(wanted, list) else [wanted])}
