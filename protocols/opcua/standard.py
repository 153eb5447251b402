"""The structures of OPC UA itself, as definitions: what asyncua knows of them.

asyncua's own decoder is not let at what a server sends: it believes every length, so that a value of twenty bytes keeps
it busy for seconds, or takes all memory.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import typing
from collections.abc import Mapping

from asyncua import ua
from asyncua.ua.ua_binary import get_safe_type_hints
from asyncua.ua.uatypes import type_allow_subclass, type_from_list, type_is_list

from protocols.opcua.definitions import EXTENSION_OBJECT, PLAIN, Definition, Field

INT32 = 6


@functools.cache
def standard_encodings() -> Mapping[str, str]:
    """The structure of each binary encoding of namespace 0, by name. Ids as text."""
    known = {
        str(node.to_string()): of for node, of in ua.extension_objects_by_typeid.items() if not node.NamespaceIndex
    }
    return {encoding: of.__name__ for encoding, of in known.items() if standard_definition(of.__name__) is not None}


@functools.cache
def standard_definition(name: str) -> Definition | None:
    """What a structure, by its name or by its id as text, consists of; None: it is none, or is not known to its last
    member."""
    of = getattr(ua, _names().get(name, name), None)
    if not (isinstance(of, type) and dataclasses.is_dataclass(of)) or issubclass(of, ua.UaUnion):
        return None
    try:
        hints = get_safe_type_hints(of, {"ua": ua})
    except (AttributeError, NameError):  # it names types that asyncua lacks
        return None
    fields = [_field(field.name, hints[field.name]) for field in dataclasses.fields(of)]
    whole = [field for field in fields if field is not None]
    return Definition(PLAIN, whole) if len(whole) == len(fields) else None


@functools.cache
def _names() -> Mapping[str, str]:
    structures = ua.extension_objects_by_typeid.values()
    return {str(of.data_type.to_string()): of.__name__ for of in structures if of.data_type.NamespaceIndex == 0}


def _field(name: str, of: typing.Any) -> Field | None:
    array = type_is_list(of)
    if array:
        of = type_from_list(of)
    if type_allow_subclass(of):
        return Field(name, EXTENSION_OBJECT, array=array)
    if not isinstance(of, type):
        return None
    if issubclass(of, enum.Enum):
        flags = getattr(of, "datatype", lambda: "UInt32")() if issubclass(of, enum.IntFlag) else "Int32"
        return Field(name, _number(flags) or INT32, array=array)
    number = _number(of.__name__)
    if number is not None:
        return Field(name, number, array=array)
    return Field(name, EXTENSION_OBJECT, of.__name__, array) if dataclasses.is_dataclass(of) else None


def _number(name: str) -> int | None:
    """Of a built-in type."""
    name = {"Char": "Byte", "CharArray": "String", "Bytes": "ByteString"}.get(name, name)
    kind = getattr(ua.VariantType, name, None)
    return int(kind.value) if kind is not None else None
