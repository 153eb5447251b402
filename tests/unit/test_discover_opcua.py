"""What `sortline discover opcua` says of a server."""

from __future__ import annotations

import argparse
import asyncio
import socket
from typing import Any

import pytest
from asyncua import ua

from ext.opcua_values import Reading
from protocols.discovery import Seen, how_to_connect
from protocols.opcua.discover import CONNECTION, NODES_MAX, Variable, Watched, _report, draft
from protocols.opcua.event_discovery import EventsHeard, EventType
from protocols.opcua.failures import advised, describe


def test_a_good_value_that_cannot_be_read_is_not_called_bad() -> None:
    """A structure of which no definition is loaded: its status is good, and `bad (0x00000000)` helps nobody."""
    node = ua.NodeId(1, 2)
    fault = "value: a structure whose type is not known; set structures = true"
    watched = [
        Watched(Variable(node, ("Scan",)), Reading(None, fault=fault), Seen()),
        Watched(Variable(node, ("Broken",)), Reading(None, 0x80340000), Seen()),
    ]
    lines = _report("opc.tcp://h:1", argparse.Namespace(variables=10, seconds=1.0), [], watched, None)
    assert [line.split("i=1")[1].strip() for line in lines[2:]] == [
        f"cannot be read: {fault}",
        "BadNodeIdUnknown (0x80340000)",
    ]


def test_structures_are_loaded_where_the_site_file_asks_for_them() -> None:
    asked = {"url": "opc.tcp://h:1", "structures": True}
    found = how_to_connect(argparse.Namespace(table=asked | {"variables": {}}), CONNECTION, lambda where: {})
    assert found == asked


def test_a_host_that_nobody_knows_is_said_to_be_unknown() -> None:
    """Its number is none of the system's errors: `Unknown error -2` helps nobody."""
    unknown = "Name or service not known"
    assert describe(socket.gaierror(socket.EAI_NONAME, unknown)) == unknown
    assert describe(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)")) == "Connection refused"


def test_what_a_server_has_no_room_for_is_said_with_what_to_do() -> None:
    told = describe(ua.UaStatusCodeError(ua.StatusCodes.BadTooManyMonitoredItems))
    assert told == "BadTooManyMonitoredItems (fewer items_per_subscription, if the server limits those of one)"
    assert advised(ua.StatusCodes.BadTooManySubscriptions).startswith("BadTooManySubscriptions (more items_per_sub")
    assert advised(ua.StatusCodes.BadOutOfRange) == "BadOutOfRange"


def test_of_many_variables_below_one_object_those_that_changed_are_drafted() -> None:
    """As on servers that put the tags of all machines into one folder."""
    watched = []
    for number in range(3 * NODES_MAX):
        seen = Seen()
        for value in range(3 if number == 2 * NODES_MAX else 0):
            seen.add(value)
        node = ua.NodeId(number, 2)
        watched.append(Watched(Variable(node, ("Tags", f"T{number}")), Reading(0), seen))
    lines = draft("opcua", {"url": "opc.tcp://h:1"}, ["", "", "urn:a"], watched).splitlines()
    name = f"t{2 * NODES_MAX}"
    assert f'trigger = "{name}" # the variable that says that something happened' in lines
    assert any(line.startswith(f'# record.seq = {{ path = "{name}"') for line in lines)
    assert lines[-1] == f"# {2 * NODES_MAX} more stand beside them"


@pytest.mark.parametrize(("kind", "structured"), [("i=12", False), ("i=22", True), ("ns=3;i=3018", True)])
def test_where_an_event_has_structures_the_draft_asks_for_their_definitions(kind: str, structured: bool) -> None:
    """As scan results of AutoID are: without, nothing of the draft could be read."""

    class Server:
        async def read_attribute(self, nodes: list[ua.NodeId], attribute: int) -> list[Reading]:
            return [Reading("ScanEventType" if attribute == ua.AttributeIds.BrowseName else kind) for _ in nodes]

        async def browse_all(self, nodes: list[ua.NodeId], kind: ua.NodeId, forward: bool) -> list[list[Any]]:
            return [[] for _ in nodes]

        async def browse(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
            return [
                ua.ReferenceDescription(
                    NodeId=ua.ExpandedNodeId(7, 2),
                    BrowseName=ua.QualifiedName("ScanResult", 2),
                    NodeClass=ua.NodeClass.Variable,
                )
            ]

    server: Any = Server()
    heard = EventsHeard(types={"ns=2;i=5": (3, ("SCN", ""))})
    types = asyncio.run(heard.described(server))
    assert types == [
        EventType(ua.NodeId(5, 2), "ScanEventType", [(2, "ScanResult")], 3, ("SCN", ""), structured),
    ]
    asked = draft("opcua", {"url": "opc.tcp://h:1"}, ["", "", "urn:a"], [], types).splitlines()
    assert any(line.startswith("structures = true") for line in asked) == structured


def test_alarms_below_others_that_came_are_not_drafted_to_be_told_twice() -> None:
    alarm, condition, base = ua.NodeId(2915, 0), ua.NodeId(2782, 0), ua.NodeId(2041, 0)
    types = [
        EventType(ua.NodeId(10637, 0), "OffNormalAlarmType", [], 2, ("", ""), False, (alarm, condition, base)),
        EventType(ua.NodeId(5, 2), "JamType", [(2, "Lane")], 2, ("", ""), False, (alarm, condition, base)),
        EventType(ua.NodeId(2130, 0), "SystemEventType", [], 2, ("", ""), False, (base,)),
    ]
    url, spaces = {"url": "opc.tcp://h:1"}, ["", "", "urn:a"]
    asked = draft("opcua", url, spaces, [], types)
    assert [line for line in asked.splitlines() if line.startswith("event_type")] == [
        'event_type = "OffNormalAlarmType"',
        'event_type = "ns2:JamType"',
    ]
    assert asked.count("conditions = true") == asked.count('record.code = "condition"') == 2
    general = EventType(alarm, "AlarmConditionType", [], 1, ("", ""), False, (condition, base))
    both = draft("opcua", url, spaces, [], [*types, general])
    assert [line for line in both.splitlines() if line.startswith("event_type")] == [
        'event_type = "AlarmConditionType"'
    ]
