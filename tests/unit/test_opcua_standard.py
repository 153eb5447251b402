"""OPC UA's own structures, matrices and values inside values: against asyncua, and against what it would believe."""

from __future__ import annotations

import dataclasses
import enum
import random
import struct
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import get_safe_type_hints, variant_from_binary, variant_to_binary
from asyncua.ua.uatypes import type_allow_subclass, type_from_list, type_is_list

from ext.opcua_values import ELEMENTS_MAX
from protocols.opcua.standard import standard_definition, standard_encodings
from protocols.opcua.structures import ANSWER_PIECES_MAX, DIMENSIONS_MAX, PIECES_MAX, Structures, library_value
from tests.opcua_plain import plain

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KNOWN = sorted(set(standard_encodings().values()))
MESSAGES = {name for name in KNOWN if name.endswith(("Request", "Response", "ServiceFault"))}  # no values
BEYOND = {  # asyncua cannot encode them
    *("AliasUpdateDataType", "LogRecordsDataType", "DatagramConnectionTransport2DataType"),
    *("DatagramDataSetReaderTransportDataType", "DatagramWriterGroupTransport2DataType"),
}
EMPTY = {name for name in KNOWN if not dataclasses.fields(getattr(ua, name))}  # asyncua leaves their length out
TRIED = sorted(set(KNOWN) - MESSAGES - EMPTY - BEYOND)
OF_BUILT_IN: dict[str, Any] = {
    "Boolean": True,
    "String": "text",
    "CharArray": "text",
    "DateTime": NOW,
    "ByteString": b"\1\2",
    "Guid": ua.Guid("12345678-1234-5678-1234-567812345678"),
    "XmlElement": ua.XmlElement("<a/>"),
    "NodeId": ua.NodeId("n", 2),
    "ExpandedNodeId": ua.ExpandedNodeId("n", 2, NamespaceUri="urn:x", ServerIndex=3),
    "StatusCode": ua.StatusCode(ua.UInt32(0x80340000)),
    "QualifiedName": ua.QualifiedName("q", 2),
    "LocalizedText": ua.LocalizedText("t", "en"),
    "DataValue": ua.DataValue(ua.Variant(7, ua.VariantType.Int32), ua.StatusCode(ua.UInt32(0)), NOW),
    "Variant": ua.Variant([1, 2, 3], ua.VariantType.UInt16),
    "ExtensionObject": ua.ElementOperand(3),
    "DiagnosticInfo": ua.DiagnosticInfo(SymbolicId=4, AdditionalInfo="more"),
}


def made(of: Any, chance: random.Random, depth: int = 0) -> Any:
    """Something of a type of asyncua's."""
    if type_is_list(of):
        return [made(type_from_list(of), chance, depth + 1) for _ in range(chance.randrange(3) if depth < 4 else 0)]
    if type_allow_subclass(of):
        return ua.ElementOperand(chance.randrange(1_000))
    if of.__name__ in OF_BUILT_IN:
        return OF_BUILT_IN[of.__name__]
    if issubclass(of, enum.Enum):
        return chance.choice(list(of))
    if issubclass(of, float):
        return of(0.5)
    if issubclass(of, int):
        return of(chance.randrange(100))
    hints = get_safe_type_hints(of, {"ua": ua})
    members = {field.name: made(hints[field.name], chance, depth + 1) for field in dataclasses.fields(of) if field.init}
    return of(**members)


@pytest.mark.parametrize("name", TRIED)
def test_a_structure_of_opc_ua_is_what_asyncua_makes_of_it(name: str) -> None:
    chance = random.Random(name)
    for _ in range(3):
        value = made(getattr(ua, name), chance)
        encoded = variant_to_binary(ua.Variant(value, ua.VariantType.ExtensionObject))
        expected = plain(variant_from_binary(Buffer(encoded)).Value)
        assert isinstance(expected, dict)
        got, fault = library_value(encoded)
        assert fault is None
        assert isinstance(got, dict)
        got.pop("Encoding", None)
        assert got == expected


def test_nearly_all_of_them_are_known() -> None:
    registered = {of.__name__ for node, of in ua.extension_objects_by_typeid.items() if node.NamespaceIndex == 0}
    assert registered - set(KNOWN) <= {"AliasCategoryUpdateDataType", "LogRecord", "Union"}
    assert standard_definition("NodeId") is None or standard_definition("no such thing") is None


@pytest.mark.parametrize(
    "value",
    [
        ua.Variant([[1, 2, 3], [4, 5, 6]], ua.VariantType.Int32, Dimensions=[2, 3], is_array=True),
        ua.Variant([[["a"], ["b"]], [["c"], ["d"]]], ua.VariantType.String, Dimensions=[2, 2, 1], is_array=True),
        ua.Variant([ua.Variant(1, ua.VariantType.Byte), ua.Variant("x")], ua.VariantType.Variant, is_array=True),
        ua.Variant([OF_BUILT_IN["DataValue"]] * 2, ua.VariantType.DataValue, is_array=True),
        ua.Variant(ua.DataValue(ua.Variant("v"), SourceTimestamp=NOW, ServerTimestamp=NOW), ua.VariantType.DataValue),
        ua.Variant(OF_BUILT_IN["DiagnosticInfo"], ua.VariantType.DiagnosticInfo),
        ua.Variant(OF_BUILT_IN["ExpandedNodeId"], ua.VariantType.ExpandedNodeId),
        ua.Variant([OF_BUILT_IN["ExpandedNodeId"]], ua.VariantType.ExpandedNodeId, is_array=True),
        ua.Variant(OF_BUILT_IN["XmlElement"], ua.VariantType.XmlElement),
        ua.Variant([ua.EUInformation("urn:x", 4, ua.LocalizedText("mm")), ua.Range(1, 2)], is_array=True),
        ua.Variant(None, ua.VariantType.ExtensionObject, is_array=True),
        ua.Variant([], ua.VariantType.ExtensionObject, is_array=True),
    ],
)
def test_values_inside_values_are_what_asyncua_makes_of_them(value: ua.Variant) -> None:
    encoded = variant_to_binary(value)
    assert library_value(encoded) == (plain(variant_from_binary(Buffer(encoded)).Value), None)


def extension(number: int, body: bytes) -> bytes:
    return b"\1\0" + struct.pack("<H", number) + b"\1" + struct.pack("<i", len(body)) + body


NULLS = b"\x80" + struct.pack("<i", 0x7FFFFFFF)
MATRIX = b"\xc6" + struct.pack("<iiiii", 1, 1, 2, 1_000, 1_000)
LITERAL = 597
HOSTILE = {
    "two thousand million nulls in a literal": b"\x16" + extension(LITERAL, NULLS),
    "a matrix of a million out of one": MATRIX,
    "many of them": b"\x98" + struct.pack("<i", 200) + 200 * MATRIX,
    "a matrix of 2^62": b"\xc6" + struct.pack("<iiiii", 1, 1, 2, 0x7FFFFFFF, 0x7FFFFFFF),
    "one of negative size": b"\xc6" + struct.pack("<iiiii", 1, 1, 2, -1, -1),
    "one of none": b"\xc6" + struct.pack("<iii", 1, 1, -1),
    "one of many dimensions": b"\xc6"
    + struct.pack("<iii", 1, 1, DIMENSIONS_MAX + 1)
    + (DIMENSIONS_MAX + 1) * b"\1\0\0\0",
    "too many elements": b"\x99" + struct.pack("<i", ELEMENTS_MAX + 1) + bytes(ELEMENTS_MAX + 1),
    "a structure inside itself": b"\x16" + 200 * b"\1\0\x55\2\1\xff\xff\0\0\x16",
    "diagnostics inside diagnostics": b"\x19" + 3_000 * b"\x40" + b"\0",
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_what_would_keep_asyncua_for_seconds_is_refused(kind: str) -> None:
    tracemalloc.start()
    try:
        value, fault = library_value(HOSTILE[kind])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value is None
    assert fault is not None
    assert most < 5_000_000


def test_the_pieces_of_a_value_are_counted_over_all_its_depths() -> None:
    of_4096 = b"\x99" + struct.pack("<i", ELEMENTS_MAX) + bytes(ELEMENTS_MAX)
    few = PIECES_MAX // (ELEMENTS_MAX + 1)
    assert library_value(b"\x98" + struct.pack("<i", few) + few * of_4096)[1] is None
    value, fault = library_value(b"\x98" + struct.pack("<i", few + 1) + (few + 1) * of_4096)
    assert (value, fault) == (None, f"value: more than {PIECES_MAX} values inside it")


def test_the_pieces_of_an_answer_are_counted_over_all_its_values() -> None:
    whole = b"\x99" + struct.pack("<i", ELEMENTS_MAX) + bytes(ELEMENTS_MAX)
    structures = Structures()
    for _ in range(2):
        library = structures.of_answer()
        faults = [library(whole)[1] for _ in range(ANSWER_PIECES_MAX // ELEMENTS_MAX + 2)]
        assert faults[:-2] == [None] * (len(faults) - 2)
        assert faults[-1] == f"value: more than {ANSWER_PIECES_MAX} values inside those of one answer"


def test_damage_is_a_fault_and_nothing_else() -> None:
    chance = random.Random(3)
    for name in TRIED[::4]:
        whole = variant_to_binary(ua.Variant(made(getattr(ua, name), chance), ua.VariantType.ExtensionObject))
        for _ in range(40):
            damaged = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            damaged[0] = 0x16
            value, fault = library_value(bytes(damaged))
            assert fault is None or value is None
