"""OPC UA's values to plain ones: what the mapping language works on. Pure: no I/O, no clock.

Integers, texts, booleans and floats stay; a date becomes microseconds since 1970 UTC, a GUID or node id its text, a
status code its number, a localized text or qualified name its text, a byte string hexadecimal, an enumeration its
number, a structure a dict of its members, an array a list.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from asyncua import ua

from engine.errors import DecodeError
from protocols.opcua.settings import Time

DEPTH_MAX = 32
ELEMENTS_MAX = 4096
TEXT_BYTES_MAX = 65_536

# Part 4 section 7.39.1: bits 10-11 = 01 say that the low bits speak of a data value; bit 7 then is Overflow.
_INFO_TYPE_MASK = 0x0C00
_DATA_VALUE = 0x0400
_OVERFLOW = 0x0080

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_HIDDEN = frozenset({"Encoding"})  # asyncua's bookkeeping of optional members and unions


class Reading(NamedTuple):
    """A data value in plain form. `status`: the whole 32-bit code; times: microseconds since 1970, None if not sent.

    `fault`: why a good value has no plain form; it is then as unusable as a bad one.
    """

    value: object
    status: int = 0
    source_us: int | None = None
    server_us: int | None = None
    fault: str | None = None

    @property
    def bad(self) -> bool:
        """Severity 10, or 11, which is reserved and counts as bad. Uncertain values are used."""
        return self.status >> 31 == 1 or self.fault is not None

    @property
    def overflow(self) -> bool:
        """Values of this item were lost before this one."""
        return self.status & _INFO_TYPE_MASK == _DATA_VALUE and bool(self.status & _OVERFLOW)

    def time_us(self, time: Time) -> int | None:
        """The time that the site chose, if the server sent it."""
        if time == "none":
            return None
        return self.source_us if time == "source" else self.server_us


def reading(value: ua.DataValue) -> Reading:
    """A data value. Never raises: what has no plain form carries its fault."""
    status = int(value.StatusCode.value) if value.StatusCode is not None else 0
    content, fault = None, None
    if status >> 31 == 0 and value.Value is not None:
        try:
            content = plain(value.Value.Value)
        except DecodeError as error:
            fault = error.cause
    return Reading(content, status, microseconds(value.SourceTimestamp), microseconds(value.ServerTimestamp), fault)


def microseconds(moment: datetime.datetime | None) -> int | None:
    """Microseconds since 1970 UTC; None for what is no time: OPC UA's null (1601), its greatest date (9999), and
    everything before 1970."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since = (moment - _EPOCH) // _MICROSECOND
    return since if since > 0 and moment.year < datetime.MAXYEAR else None


def plain(value: object, depth: int = 0) -> object:
    """The plain form of a value of any OPC UA type. Raises DecodeError: unknown structure, too deep, too large."""
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return _text(value)
    if depth >= DEPTH_MAX:
        raise DecodeError("value: nested too deep")
    if isinstance(value, list | tuple):
        return _list(value, depth)
    if isinstance(value, ua.ExtensionObject):
        raise DecodeError("value: a structure whose type is not known; set structures = true")
    if isinstance(value, ua.Variant):
        return plain(value.Value, depth + 1)
    scalar = _scalar(value)
    if scalar is not None:
        return scalar
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _members(value, depth)
    raise DecodeError(f"value: the type {type(value).__name__} has no plain form")


def mapping_values(readings: Mapping[str, Reading]) -> dict[str, object]:
    """What a record is mapped from: good values by node name; every status and known source time below its own key.

    A bad value is left out, so that a mapping that needs it refuses and one that does not goes on.
    """
    values: dict[str, object] = {name: got.value for name, got in readings.items() if not got.bad}
    values["status"] = {name: got.status for name, got in readings.items()}
    values["time"] = {name: got.source_us for name, got in readings.items() if got.source_us is not None}
    return values


def _text(value: str) -> str:
    # A str subclass (ua.String) would not be recognised by exact type checks further on.
    if len(value) > TEXT_BYTES_MAX:
        raise DecodeError("value: text too long")
    return str(value)


def _list(value: list[object] | tuple[object, ...], depth: int) -> list[object]:
    if len(value) > ELEMENTS_MAX:
        raise DecodeError(f"value: more than {ELEMENTS_MAX} elements")
    return [plain(element, depth + 1) for element in value]


def _members(value: object, depth: int) -> dict[str, object]:
    if isinstance(value, ua.UaUnion):
        # asyncua: the member that is set, and which one it is, counted from 1
        return {"Value": plain(getattr(value, "Value", None), depth + 1), "Switch": getattr(value, "Encoding", 0)}
    fields = dataclasses.fields(value)  # type: ignore[arg-type]
    return {field.name: plain(getattr(value, field.name), depth + 1) for field in fields if field.name not in _HIDDEN}


def _scalar(value: object) -> object | None:
    """The types of OPC UA that are neither Python's own nor structures; None for a structure."""
    if isinstance(value, bool | enum.IntEnum | enum.IntFlag | int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        if len(value) > TEXT_BYTES_MAX:
            raise DecodeError("value: byte string too long")
        return value.hex()
    if isinstance(value, datetime.datetime):
        return microseconds(value) or 0
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    if isinstance(value, ua.QualifiedName):
        return value.Name or ""
    if isinstance(value, ua.NodeId):
        return str(value.to_string())
    if isinstance(value, ua.StatusCode):
        return int(value.value)
    return None
