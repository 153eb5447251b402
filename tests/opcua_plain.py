"""The plain form of what asyncua decodes: what the readers in ext/ and protocols/opcua/ are held against."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid

from asyncua import ua

from engine.errors import DecodeError
from ext.opcua_values import DEPTH_MAX, ELEMENTS_MAX, TEXT_BYTES_MAX

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_HIDDEN = frozenset({"Encoding"})  # asyncua's bookkeeping of optional members and unions


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
