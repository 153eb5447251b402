"""Structures of a server's own, read by the definitions that it tells; bytes written by hand from the standard."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Any
from uuid import UUID

import pytest
from asyncua import ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.ua.ua_binary import variant_to_binary

from ext.opcua_values import ELEMENTS_MAX
from protocols.opcua.connection import Connection
from protocols.opcua.definitions import OPTIONAL, PLAIN, SUBTYPED, UNION, Definition
from protocols.opcua.structures import Structures, definition_of, library_value
from protocols.opcua.type_definitions import load_structures
from tests.opcua import CARTONS, line, settings

BUILT_IN = {f"i={number}": number for number in range(1, 26)} | {"ns=2;i=9": 6}
KNOWN = {"ns=2;i=1": False, "ns=2;i=2": False, "ns=2;i=3": True}


def told(kind: int, *fields: tuple[Any, ...]) -> dict[str, object]:
    """A StructureDefinition in plain form; a field is (name, data type, value rank, optional)."""
    return {
        "StructureType": kind,
        "Fields": [
            {"Name": name, "DataType": of_type, "ValueRank": rank, "IsOptional": optional}
            for name, of_type, rank, optional in fields
        ],
    }


def defined(kind: int, *fields: tuple[Any, ...]) -> Definition:
    made = definition_of(told(kind, *fields), BUILT_IN, KNOWN)
    assert made is not None
    return made


def structures(outer: Definition, inner: Definition | None = None) -> Structures:
    by_type = {"ns=2;i=1": outer, "ns=2;i=2": inner or defined(PLAIN, ("A", "i=4", -1, False))}
    return Structures({"ns=2;i=101": "ns=2;i=1", "ns=2;i=102": "ns=2;i=2"}, by_type)


def extension(body: bytes, number: int = 101) -> bytes:
    """An ExtensionObject of namespace 2 (OPC 10000-6 section 5.2.2.15)."""
    return b"\x01\x02" + struct.pack("<H", number) + b"\x01" + struct.pack("<i", len(body)) + body


def text(value: str) -> bytes:
    return struct.pack("<i", len(value)) + value.encode()


def read(outer: Definition, body: bytes, inner: Definition | None = None) -> object:
    value, fault = structures(outer, inner).library(b"\x16" + extension(body))
    assert fault is None, fault
    return value


def test_members_one_after_the_other_with_arrays_and_structures_inside() -> None:
    outer = defined(
        PLAIN,
        ("Lu", "i=12", -1, False),
        ("Codes", "i=12", 1, False),
        ("In", "ns=2;i=2", -1, False),
        ("E", "ns=2;i=9", 0, 0),
    )
    inner = defined(PLAIN, ("Grams", "i=11", -1, False), ("None", "i=4", 1, False))
    body = text("T-1") + struct.pack("<i", 2) + text("a") + text("b")
    body += struct.pack("<d", 2.5) + struct.pack("<i", -1) + struct.pack("<i", 3)
    assert read(outer, body, inner) == {"Lu": "T-1", "Codes": ["a", "b"], "In": {"Grams": 2.5, "None": None}, "E": 3}


def test_an_optional_member_is_there_if_its_bit_is_set() -> None:
    outer = defined(OPTIONAL, ("A", "i=4", -1, True), ("B", "i=4", -1, False), ("C", "i=12", -1, True))
    for mask, body, value in (
        (0b00, struct.pack("<h", 2), {"A": None, "B": 2, "C": None}),
        (0b01, struct.pack("<hh", 1, 2), {"A": 1, "B": 2, "C": None}),
        (0b10, struct.pack("<h", 2) + text("c"), {"A": None, "B": 2, "C": "c"}),
    ):
        assert read(outer, struct.pack("<I", mask) + body) == value


def test_a_union_has_one_member_or_none() -> None:
    outer = defined(UNION, ("Number", "i=4", -1, False), ("Text", "i=12", -1, False))
    assert read(outer, struct.pack("<I", 0)) == {"Value": None, "Switch": 0}
    assert read(outer, struct.pack("<I", 2) + text("T-1")) == {"Value": "T-1", "Switch": 2}
    assert structures(outer).library(b"\x16" + extension(struct.pack("<I", 3)))[1] == (
        "value: a union with a member that there is not"
    )


def test_a_member_of_any_subtype_brings_its_type_with_it() -> None:
    outer = defined(
        SUBTYPED, ("Any", "ns=2;i=2", -1, True), ("Abstract", "ns=2;i=3", -1, False), ("V", "i=11", -1, True)
    )
    inner = extension(struct.pack("<h", 7), 102)
    assert read(outer, inner + inner + b"\x04" + struct.pack("<h", 8)) == {
        "Any": {"A": 7},
        "Abstract": {"A": 7},
        "V": 8,
    }


def test_an_array_of_structures_and_one_that_is_not_known() -> None:
    inner = extension(struct.pack("<h", 7), 102)
    both = structures(defined(PLAIN, ("A", "i=4", -1, False)))
    assert both.library(b"\x96" + struct.pack("<i", 2) + inner + inner) == ([{"A": 7}, {"A": 7}], None)
    value, fault = both.library(b"\x16" + extension(b"x", 999))
    assert (value, fault) == (None, "value: a structure whose type is not known; set structures = true")
    assert both.library(b"\x16" + b"\x01\x02" + struct.pack("<H", 101) + b"\x00") == (None, None)


def test_no_structure_at_all_is_null_and_no_unknown_one() -> None:
    """A variable that has never been written (node-opcua: the EURange of a speed): no type, and no body."""
    under = structures(defined(PLAIN, ("Lu", "i=12", -1, False)))
    assert under.library(b"\x16\x00\x00\x00") == (None, None)
    one_of_two = b"\x96" + struct.pack("<i", 2) + extension(text("T-1")) + b"\x00\x00\x00"
    assert under.library(one_of_two) == ([{"Lu": "T-1"}, None], None)


def test_two_servers_may_give_one_id_to_different_structures() -> None:
    body = b"\x16" + extension(struct.pack("<hh", 1, 2))
    one = structures(defined(PLAIN, ("A", "i=4", -1, False), ("B", "i=4", -1, False)))
    other = structures(defined(PLAIN, ("Number", "i=6", -1, False)))
    assert one.library(body) == ({"A": 1, "B": 2}, None)
    assert other.library(body) == ({"Number": 2 << 16 | 1}, None)


def test_a_structure_that_holds_itself_and_an_array_too_long_are_refused() -> None:
    endless = defined(PLAIN, ("In", "ns=2;i=1", -1, False))
    assert structures(endless).library(b"\x16" + extension(b""))[1] == "value: nested too deep"
    many = defined(PLAIN, ("A", "i=3", 1, False))
    _, fault = structures(many).library(b"\x16" + extension(struct.pack("<i", ELEMENTS_MAX + 1) + bytes(5_000)))
    assert fault == f"value: more than {ELEMENTS_MAX} elements"


def test_a_value_that_is_cut_or_damaged_is_a_fault_and_no_exception() -> None:
    outer = defined(
        OPTIONAL,
        ("A", "i=12", 1, True),
        ("B", "i=24", -1, False),
        ("In", "ns=2;i=2", 1, False),
        ("N", "i=17", -1, True),
    )
    body = struct.pack("<I", 3) + struct.pack("<i", 1) + text("a") + b"\x04\x01\x00" + struct.pack("<ih", 1, 7)
    body += b"\x03\x02\x00" + text("node")
    both = structures(outer)
    assert both.library(b"\x16" + extension(body)) == ({"A": ["a"], "B": 1, "In": [{"A": 7}], "N": "ns=2;s=node"}, None)
    for length in range(len(body)):
        value, fault = both.library(b"\x16" + extension(body[:length]))
        assert value is None
        assert fault is not None
    rng = random.Random(3)
    for _ in range(3_000):
        broken = bytearray(body)
        for _ in range(rng.choice((1, 2, 6))):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        both.library(b"\x16" + extension(bytes(broken)))


@pytest.mark.parametrize(
    "definition",
    [
        None,
        {"StructureType": 0},
        {"StructureType": 9, "Fields": []},
        {"StructureType": 0, "Fields": ["x"]},
        told(PLAIN, ("Matrix", "i=4", 2, False)),
        told(PLAIN, ("Unknown", "ns=7;i=7", -1, False)),
        {"StructureType": 0, "Fields": [{}] * 1_001},
    ],
)
def test_a_definition_that_cannot_be_read_is_none(definition: object) -> None:
    assert definition_of(definition, BUILT_IN, KNOWN) is None


def test_definitions_of_a_real_server_with_an_enumeration_and_a_structure_of_opc_ua_inside() -> None:
    async def story() -> object:
        async with line() as packing:
            server = packing.server
            # asyncua's own table of structures is one for all servers of a process: ids that no other test has
            space = [await server.register_namespace(f"urn:test:{number}") for number in range(9)][-1]
            mode = await new_enum(server, space, "TestMode", ["Off", "On"])
            inner = await new_struct(server, space, "TestInner", [new_struct_field("Grams", ua.VariantType.Double)])
            fields = [
                new_struct_field("Lu", ua.VariantType.String),
                new_struct_field("Mode", mode),
                new_struct_field("In", inner[0], array=True),
                new_struct_field("Unit", ua.NodeId(ua.ObjectIds.EUInformation)),
            ]
            await new_struct(server, space, "TestOuter", fields)
            await server.load_data_type_definitions()
            made = ua.TestOuter(Lu="T-1", Mode=ua.TestMode.On, In=[ua.TestInner(Grams=2.5)])
            made.Unit = ua.EUInformation(NamespaceUri="urn:x", UnitId=4)
            node = await server.nodes.objects.add_variable(space, "Structure", made)
            connection = Connection(settings(packing.url, structures=True, variables={"cartons": CARTONS}), "packing")
            await connection.open()
            loaded = await load_structures(connection, "packing")
            (reading,) = await connection.read([node.nodeid])
            await connection.close()
            assert loaded._by_encoding
            assert reading.fault is None
            return reading.value

    value: Any = asyncio.run(story())
    assert (value["Lu"], value["Mode"], value["In"]) == ("T-1", 1, [{"Grams": 2.5}])
    assert (value["Unit"]["NamespaceUri"], value["Unit"]["UnitId"]) == ("urn:x", 4)


def test_node_ids_of_all_kinds_have_their_text_and_damaged_ones_are_a_fault() -> None:
    far = ua.ExpandedNodeId("x", 2, NamespaceUri="urn:a", ServerIndex=7)
    for node, of in ((ua.NodeId(b"abc", 3), "NodeId"), (ua.NodeId(UUID(int=5), 0), "NodeId"), (far, "ExpandedNodeId")):
        encoded = variant_to_binary(ua.Variant(node, ua.VariantType[of]))
        assert library_value(encoded) == (node.to_string(), None)
        for end in range(1, len(encoded)):
            assert library_value(encoded[:end])[1] is not None
    assert library_value(b"\x11\x05\0\0\xff\xff\xff\xff") == ("b=", None), "no bytes at all"
    assert library_value(b"\x11\x85\0\0\xfe\xff\xff\xff\xfe\xff\xff\xff") == ("b=", None), "nor a namespace"
