"""A server's own structures: their definitions, and values of them as dicts of their members.

Definitions are StructureDefinitions (OPC 10000-3 section 8.48), values as OPC 10000-6 section 5.2.6 to 5.2.8 says.
They belong to one connection: two servers may give one type id to different structures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ext.opcua_values import Cursor, Unfit
from protocols.opcua.decode import library_value

TYPES_MAX = 5_000
FIELDS_MAX = 1_000

UINT32, EXTENSION_OBJECT, VARIANT = 7, 22, 24
DEPTH_MAX = 32

PLAIN, OPTIONAL, UNION, SUBTYPED, SUBTYPED_UNION = range(5)
"""StructureType."""


class Field(NamedTuple):
    """`type`: the built-in type of its encoding; `structure`: the data type of one whose type stands fast. `array`: a
    list of them."""

    name: str
    type: int
    structure: str | None = None
    array: bool = False
    optional: bool = False


class Definition(NamedTuple):
    """`kind`: a StructureType."""

    kind: int
    fields: Sequence[Field]


class Structures:
    """`by_encoding`: the data type of each binary encoding; `by_type`: what each data type consists of. Ids as text."""

    def __init__(self, by_encoding: Mapping[str, str], by_type: Mapping[str, Definition]) -> None:
        self._by_encoding = by_encoding
        self._by_type = by_type
        self._depth = 0

    def library(self, encoded: bytes) -> tuple[object, str | None]:
        """A Variant of neither scalars nor texts in plain form: see `decode.Library`."""
        if self._depth >= DEPTH_MAX:
            return None, "value: nested too deep"
        self._depth += 1
        try:
            return self._variant(encoded), None
        except Unfit as unfit:
            return None, str(unfit)
        finally:
            self._depth -= 1

    def _variant(self, encoded: bytes) -> object:
        kind = encoded[0]
        if kind & 0x3F != EXTENSION_OBJECT or kind & 0x40:
            return self._asyncua(encoded)
        if not kind & 0x80:
            return self._object(encoded[1:])
        cursor = _Objects(encoded[1:])
        return [self._object(one) for one in cursor.all()]

    def _object(self, data: bytes) -> object:
        """An ExtensionObject."""
        cursor = Cursor(data, self.library)
        of_type = self._by_encoding.get(str(cursor.take(17)))
        if of_type is None:
            return self._asyncua(bytes([EXTENSION_OBJECT]) + data)
        if cursor.take(3) != 1:
            return None
        body = Cursor(data[len(data) - cursor.left + 4 :], self.library)
        return self._structure(of_type, body, 0)

    def _structure(self, of_type: str, cursor: Cursor, depth: int) -> object:
        if depth >= DEPTH_MAX:
            raise Unfit("value: nested too deep")
        definition = self._by_type[of_type]
        if definition.kind in (UNION, SUBTYPED_UNION):
            return self._union(definition, cursor, depth)
        present = cursor.take(UINT32) if definition.kind == OPTIONAL else 0
        assert isinstance(present, int)
        members: dict[str, object] = {}
        bit = 0
        for field in definition.fields:
            there = True
            if definition.kind == OPTIONAL and field.optional:
                there = bool(present >> bit & 1)
                bit += 1
            members[field.name] = self._member(field, cursor, depth) if there else None
        return members

    def _union(self, definition: Definition, cursor: Cursor, depth: int) -> object:
        switch = cursor.take(UINT32)
        assert isinstance(switch, int)
        if switch == 0:
            return {"Value": None, "Switch": 0}
        if switch > len(definition.fields):
            raise Unfit("value: a union with a member that there is not")
        return {"Value": self._member(definition.fields[switch - 1], cursor, depth), "Switch": switch}

    def _member(self, field: Field, cursor: Cursor, depth: int) -> object:
        if not field.array:
            return self._value(field, cursor, depth)
        count = cursor.count()
        return None if count < 0 else [self._value(field, cursor, depth) for _ in range(count)]

    def _value(self, field: Field, cursor: Cursor, depth: int) -> object:
        if field.structure is not None:
            return self._structure(field.structure, cursor, depth + 1)
        return cursor.take(field.type)

    def _asyncua(self, encoded: bytes) -> object:
        value, fault = library_value(encoded)
        if fault is not None:
            raise Unfit(fault)
        return value


class _Objects:
    """The ExtensionObjects of an array, one by one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._found: list[bytes] = []

    def all(self) -> list[bytes]:
        cursor = Cursor(self._data, self._keep)
        for _ in range(max(0, cursor.count())):
            cursor.take(EXTENSION_OBJECT)
        return self._found

    def _keep(self, encoded: bytes) -> tuple[object, str | None]:
        self._found.append(encoded[1:])
        return None, None


def definition_of(told: object, builtin: Mapping[str, int], structures: Mapping[str, bool]) -> Definition | None:
    """A StructureDefinition in plain form as what is read by it; None for one that cannot be.

    `builtin`: built-in type of each data type that is no structure; `structures`: the structures that are known, and
    whether each is abstract.
    """
    if not isinstance(told, dict) or not isinstance(told.get("Fields"), list) or len(told["Fields"]) > FIELDS_MAX:
        return None
    kind = told.get("StructureType")
    if not isinstance(kind, int) or not PLAIN <= kind <= SUBTYPED_UNION:
        return None
    fields = [_field(one, kind, builtin, structures) for one in told["Fields"]]
    found = [field for field in fields if field is not None]
    return Definition(kind, found) if len(found) == len(fields) else None


def _field(told: object, kind: int, builtin: Mapping[str, int], structures: Mapping[str, bool]) -> Field | None:
    if not isinstance(told, dict):
        return None
    rank, of_type, optional = told.get("ValueRank"), str(told.get("DataType")), bool(told.get("IsOptional"))
    if not isinstance(rank, int) or rank > 1:
        return None
    # With these two kinds the mark does not mean that it may be missing, but that it may be of a subtype.
    any_subtype = kind in (SUBTYPED, SUBTYPED_UNION) and optional
    name = str(told.get("Name"))
    if of_type in structures:
        if structures[of_type] or any_subtype:
            return Field(name, EXTENSION_OBJECT, None, rank == 1, optional)
        return Field(name, EXTENSION_OBJECT, of_type, rank == 1, optional)
    of_builtin = builtin.get(of_type)
    if of_builtin is None:
        return None
    return Field(name, VARIANT if any_subtype else of_builtin, None, rank == 1, optional)
