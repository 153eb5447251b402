"""Asks a server for the definitions of its own structures, a few nodes a call."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from asyncua import ua

from ext.opcua_values import Reading
from protocols.opcua.definitions import Definition
from protocols.opcua.standard import standard_definition
from protocols.opcua.structures import TYPES_MAX, Structures, definition_of

log = logging.getLogger("sortline.opcua")

STRUCTURE, ENUMERATION = "i=22", "i=29"
BUILT_IN = {f"i={number}": number for number in range(1, 26)}
ABSTRACT = {"i=24": 24, "i=26": 24, "i=27": 24, "i=28": 24}  # BaseDataType, Number, Integer, UInteger: in a Variant
INT32 = 6
ANCESTORS_MAX = 16
HAS_SUBTYPE, HAS_ENCODING = ua.NodeId(45, 0), ua.NodeId(38, 0)


class Asking(Protocol):
    """What of a connection is used here."""

    async def read_attribute(self, nodes: Sequence[ua.NodeId], attribute: int) -> list[Reading]: ...

    async def browse_all(
        self, nodes: Sequence[ua.NodeId], reference: ua.NodeId, forward: bool
    ) -> list[list[ua.ReferenceDescription]]: ...


async def load_structures(connection: Asking, source: str) -> Structures:
    """The server's own structures. One whose definition cannot be read is left out, and its values stay bad ones."""
    types = await _all_structures(connection)
    told = await connection.read_attribute(types, ua.AttributeIds.DataTypeDefinition)
    abstract = await connection.read_attribute(types, ua.AttributeIds.IsAbstract)
    definitions = {_text(node): got.value for node, got in zip(types, told, strict=True) if isinstance(got.value, dict)}
    known = {_text(node): bool(got.value) for node, got in zip(types, abstract, strict=True)} | {STRUCTURE: True}
    builtin = await _built_in(connection, _types_of_fields(definitions.values()) - set(known))
    by_type = {}
    for name, definition in definitions.items():
        made = definition_of(definition, builtin, known)
        if made is not None:
            by_type[name] = made
        elif _own(name):
            log.warning("%s: the structure %s is not used: its definition cannot be read", source, name)
    whole = _whole(by_type)
    own = {name: definitions[name] for name in whole if _own(name)}
    by_encoding = await _encodings(connection, own)  # those of OPC UA itself are known
    log.info("%s: %d structures of its own", source, len(own))
    return Structures(by_encoding, whole)


async def _all_structures(connection: Asking) -> list[ua.NodeId]:
    """Every data type below Structure, level by level; members may be of OPC UA's own."""
    level, visited = [ua.NodeId(22, 0)], {STRUCTURE}
    found: list[ua.NodeId] = []
    while level and len(found) < TYPES_MAX:
        below: list[ua.NodeId] = []
        for references in await connection.browse_all(level, HAS_SUBTYPE, True):
            for reference in references:
                node = local(reference.NodeId)
                if _text(node) not in visited:
                    visited.add(_text(node))
                    below.append(node)
        found += below
        level = below
    return found[:TYPES_MAX]


async def _built_in(connection: Asking, names: set[str]) -> dict[str, int]:
    """The built-in type of data types that are no structures of the server's own: enumerations are Int32."""
    known = {**BUILT_IN, **ABSTRACT, ENUMERATION: INT32}
    climbing = {name: name for name in names if name not in known}
    for _ in range(ANCESTORS_MAX):
        if not climbing:
            break
        nodes = {at: ua.NodeId.from_string(at) for at in set(climbing.values())}
        above = dict(zip(nodes, await connection.browse_all(list(nodes.values()), HAS_SUBTYPE, False), strict=True))
        climbing = {name: _text(local(above[at][0].NodeId)) for name, at in climbing.items() if above[at]}
        for name, at in list(climbing.items()):
            if at in known:
                known[name] = known[at]
                del climbing[name]
    return known


async def _encodings(connection: Asking, definitions: Mapping[str, object]) -> dict[str, str]:
    """The data type of each binary encoding: as its definition says, or else as its references do."""
    by_encoding, silent = {}, []
    for name, told in definitions.items():
        encoding = told.get("DefaultEncodingId") if isinstance(told, dict) else None
        if isinstance(encoding, str) and not encoding.endswith("i=0"):
            by_encoding[encoding] = name
        else:
            silent.append(name)
    nodes = [ua.NodeId.from_string(name) for name in silent]
    for name, references in zip(silent, await connection.browse_all(nodes, HAS_ENCODING, True), strict=True):
        for reference in references:
            if reference.BrowseName.Name == "Default Binary":
                by_encoding[_text(local(reference.NodeId))] = name
    return by_encoding


def _own(name: str) -> bool:
    return not name.startswith("i=")


def _whole(by_type: dict[str, Definition]) -> dict[str, Definition]:
    """Without those that hold a structure that is not known."""
    while True:
        broken = {
            name
            for name, definition in by_type.items()
            if any(not _is_known(field.structure, by_type) for field in definition.fields if field.structure)
        }
        if not broken:
            return by_type
        by_type = {name: definition for name, definition in by_type.items() if name not in broken}


def _is_known(structure: str, by_type: Mapping[str, Definition]) -> bool:
    """Servers need not tell what OPC UA's own consist of."""
    return structure in by_type or standard_definition(structure) is not None


def _types_of_fields(definitions: Iterable[object]) -> set[str]:
    return set(_each_type(definitions))


def _each_type(definitions: Iterable[object]) -> Iterator[str]:
    for definition in definitions:
        fields = definition.get("Fields") if isinstance(definition, dict) else None
        for field in fields or []:
            if isinstance(field, dict):
                yield str(field.get("DataType"))


def local(node: ua.NodeId) -> ua.NodeId:
    """An expanded node id without its server and URI: the node is on this server."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType)


def _text(node: ua.NodeId) -> str:
    return str(node.to_string())
