"""Values that are neither scalars nor texts nor arrays of them: structures as dicts of their members, matrices as lists
of lists, values inside values as what they are.

Structures are read by definitions: a server's own by those that it tells, OPC UA's own by `standard`; values as
OPC 10000-6 section 5.2.2 and 5.2.6 to 5.2.8 say. Definitions belong to one connection: two servers may give one type id
to different structures.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

from ext.opcua_values import Cursor, Unfit
from protocols.opcua.definitions import (
    EXTENSION_OBJECT,
    OPTIONAL,
    PLAIN,
    SUBTYPED,
    SUBTYPED_UNION,
    UNION,
    Definition,
    Field,
)
from protocols.opcua.standard import standard_definition, standard_encodings

TYPES_MAX = 5_000
FIELDS_MAX = 1_000
PIECES_MAX = 65_536
"""Values inside one value: what takes a few hundredths of a second."""

ANSWER_PIECES_MAX = 500_000
"""And inside all values of one answer: what takes a second."""

BYTE, UINT16, INT32, UINT32, STRING, DATE_TIME, GUID, BYTE_STRING, STATUS = 3, 5, 6, 7, 12, 13, 14, 15, 19
XML_ELEMENT, NODE_ID, EXPANDED_NODE_ID, DATA_VALUE, VARIANT, DIAGNOSTIC_INFO = 16, 17, 18, 23, 24, 25
NODE_ID_KIND, OF_SERVER, NAMED_SPACE = 0x3F, 0x40, 0x80
NODE_ID_KINDS = (("i", BYTE), ("i", UINT16), ("i", UINT32), ("s", STRING), ("g", GUID), ("b", BYTE_STRING))
TYPE_BITS, DIMENSIONS_BIT, ARRAY_BIT = 0x3F, 0x40, 0x80
NULL_ID = "i=0"
DEPTH_MAX = 32
DIMENSIONS_MAX = 8

MARKED = {
    DATA_VALUE: (
        (0x01, "Value", VARIANT),
        (0x02, "StatusCode", STATUS),
        (0x04, "SourceTimestamp", DATE_TIME),
        (0x10, "SourcePicoseconds", UINT16),
        (0x08, "ServerTimestamp", DATE_TIME),
        (0x20, "ServerPicoseconds", UINT16),
    ),
    DIAGNOSTIC_INFO: (
        (0x01, "SymbolicId", INT32),
        (0x02, "NamespaceURI", INT32),
        (0x08, "Locale", INT32),
        (0x04, "LocalizedText", INT32),
        (0x10, "AdditionalInfo", STRING),
        (0x20, "InnerStatusCode", STATUS),
        (0x40, "InnerDiagnosticInfo", DIAGNOSTIC_INFO),
    ),
}
"""Built-in types of members that a byte says are there, in the order of their encoding."""


Library = Callable[[bytes], tuple[object, str | None]]
"""Makes plain what is neither scalar nor text nor an array of them, out of the bytes of its Variant: (value, None), or
(None, why it has no plain form). Never raises."""


class Structures:
    """`by_encoding`: the data type of each binary encoding; `by_type`: what each data type consists of. Ids as text.
    Without them: those of OPC UA itself."""

    def __init__(
        self, by_encoding: Mapping[str, str] | None = None, by_type: Mapping[str, Definition] | None = None
    ) -> None:
        self._by_encoding = by_encoding or {}
        self._by_type = by_type or {}
        self._depth = 0
        self._pieces = 0

    def library(self, encoded: bytes) -> tuple[object, str | None]:
        """A Variant of neither scalars nor texts in plain form: see `Library`."""
        if self._depth >= DEPTH_MAX:
            return None, "value: nested too deep"
        if self._depth == 0:
            self._pieces = 0
        self._depth += 1
        try:
            return self._variant(encoded[0], encoded[1:]), None
        except Unfit as unfit:
            return None, str(unfit)
        finally:
            self._depth -= 1

    def of_answer(self) -> Library:
        """`library` for the values of one answer."""
        left = ANSWER_PIECES_MAX

        def library(encoded: bytes) -> tuple[object, str | None]:
            nonlocal left
            if left <= 0:
                return None, f"value: more than {ANSWER_PIECES_MAX} values inside those of one answer"
            found = self.library(encoded)
            left -= self._pieces
            return found

        return library

    def _variant(self, kind: int, data: bytes) -> object:
        of = kind & TYPE_BITS
        if not kind & ARRAY_BIT:
            return self._scalar(of, data)
        cursor = Cursor(data, self.library)
        count = cursor.count()
        elements = [self._element(of, cursor) for _ in range(count)]
        if kind & DIMENSIONS_BIT:
            return _matrix(elements, [self._element(INT32, cursor) for _ in range(cursor.count())])
        return None if count < 0 else elements

    def _element(self, of: int, cursor: Cursor) -> object:
        self._count()
        return cursor.variant() if of == VARIANT else cursor.take(of)

    def _count(self) -> None:
        self._pieces += 1
        if self._pieces > PIECES_MAX:
            raise Unfit(f"value: more than {PIECES_MAX} values inside it")

    def _scalar(self, of: int, data: bytes) -> object:
        if of == EXTENSION_OBJECT:
            return self._object(data)
        cursor = Cursor(data, self.library)
        if of == VARIANT:
            return cursor.variant()
        if of == XML_ELEMENT:
            return {"Value": cursor.take(STRING)}
        if of in (NODE_ID, EXPANDED_NODE_ID):
            return node_id(cursor)
        marks = cursor.take(BYTE)
        assert isinstance(marks, int)
        return {name: self._element(member, cursor) if marks & mark else None for mark, name, member in MARKED[of]}

    def _object(self, data: bytes) -> object:
        """An ExtensionObject."""
        cursor = Cursor(data, self.library)
        encoding = str(cursor.take(NODE_ID))
        of_type = self._by_encoding.get(encoding) or standard_encodings().get(encoding)
        if encoding == NULL_ID and cursor.take(BYTE) == 0:
            return None  # no structure is there (OPC 10000-6 section 5.2.2.15)
        if of_type is None:
            raise Unfit("value: a structure whose type is not known; set structures = true")
        if cursor.take(BYTE) != 1:
            return None
        body = Cursor(data[len(data) - cursor.left + 4 :], self.library)
        return self._structure(of_type, body, self._depth)

    def _structure(self, of_type: str, cursor: Cursor, depth: int) -> object:
        if depth >= DEPTH_MAX:
            raise Unfit("value: nested too deep")
        definition = self._by_type.get(of_type) or standard_definition(of_type)
        if definition is None:
            raise Unfit("value: a structure whose type is not known; set structures = true")
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
            self._count()
            return self._structure(field.structure, cursor, depth + 1)
        return self._element(field.type, cursor)


def _matrix(flat: Sequence[object], sizes: Sequence[object]) -> list[object]:
    """The elements of a matrix as lists of lists, the last dimension innermost."""
    shape = [size if isinstance(size, int) else 0 for size in sizes]
    if not 0 < len(shape) <= DIMENSIONS_MAX or min(shape) < 0 or math.prod(shape) != len(flat):
        raise Unfit("value: a matrix of other dimensions than it has elements")
    if not flat:
        return []
    rows: list[object] = list(flat)
    for size in reversed(shape[1:]):
        rows = [rows[at : at + size] for at in range(0, len(rows), size)]
    return rows


def node_id(cursor: Cursor) -> str:
    """The text of a node id of any kind, also one that names its namespace or its server."""

    def number(of: int) -> int:
        taken = cursor.take(of)
        assert isinstance(taken, int)
        return taken

    marks = number(BYTE)
    kind = marks & NODE_ID_KIND
    space = 0 if kind == 0 else number(BYTE if kind == 1 else UINT16)
    letter, of = NODE_ID_KINDS[kind]
    identifier = cursor.take(of)
    if of == BYTE_STRING:
        identifier = b64encode(bytes.fromhex(str(identifier or ""))).decode()
    uri = cursor.take(STRING) if marks & NAMED_SPACE else None
    server = number(UINT32) if marks & OF_SERVER else 0
    parts = [f"ns={space}" if space else "", f"{letter}={identifier}"]
    return ";".join(filter(None, (*parts, f"srv={server}" if server else "", f"nsu={uri}" if uri else "")))


def library_value(encoded: bytes) -> tuple[object, str | None]:
    """See `Library`: without a server's own structures."""
    return Structures().library(encoded)


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
