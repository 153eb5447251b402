"""What `sortline discover opcua` hears of events: which types, how often, and a draft of an entry for each.

Alarms and other conditions that stand already say nothing while we listen: the server is asked to tell them once more.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from asyncua import ua

from ext.opcua_notifications import Publish
from protocols.discovery import key, plain_name, sample, table, toml
from protocols.opcua.connection import Connection
from protocols.opcua.events import BASE_EVENT_TYPE
from protocols.opcua.failures import LinkLost, from_library
from protocols.opcua.type_definitions import local

SERVER = ua.NodeId(2253, 0)
STRUCTURE = "i=22"  # any of them
CONDITION_TYPE, ALARM_TYPE = ua.NodeId(2782, 0), ua.NodeId(2915, 0)
REFRESHING = ("i=2787", "i=2788")  # the server begins and ends to tell what stands: of no machine
TYPE_DEPTH_MAX = 20
TYPES_MAX = 20
FIELDS_MAX = 32
FIELDS = ("EventType", "SourceName", "Message")
_PLAIN = re.compile(r"\w[\w .-]{0,63}", re.ASCII)  # needs no escape in a path


class EventType(NamedTuple):
    """`name`: the browse name. `fields`: properties of its own, with the namespace of each. `heard`: how often.
    `last`: source, message. `structured`: a field may be a structure, of a type that the server has to tell.
    `above`: the types that it is a subtype of."""

    node: ua.NodeId
    name: str
    fields: list[tuple[int, str]]
    heard: int
    last: tuple[object, object]
    structured: bool = False
    above: tuple[ua.NodeId, ...] = ()

    @property
    def is_condition(self) -> bool:
        """It tells of a state that lasts."""
        return CONDITION_TYPE in (self.node, *self.above)

    @property
    def is_alarm(self) -> bool:
        """Of one that is active or not."""
        return ALARM_TYPE in (self.node, *self.above)


@dataclass(slots=True)
class EventsHeard:
    """By type, as the server calls it. `refused`: why the server takes nobody who listens to its events."""

    refused: str = ""
    types: dict[str, tuple[int, tuple[object, object]]] = field(default_factory=dict)

    async def listen(self, connection: Connection, subscription: int, handle: int) -> None:
        """To what the Server object tells, which is everything that a server has a mind to tell."""
        clauses = [
            ua.SimpleAttributeOperand(
                TypeDefinitionId=BASE_EVENT_TYPE,
                BrowsePath=[ua.QualifiedName(name, 0)],
                AttributeId=ua.AttributeIds.Value,
            )
            for name in FIELDS
        ]
        parameters = ua.MonitoringParameters(ClientHandle=handle, SamplingInterval=0.0, QueueSize=100)
        parameters.Filter = ua.EventFilter(SelectClauses=clauses)
        item = ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=SERVER, AttributeId=ua.AttributeIds.EventNotifier),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=parameters,
        )
        try:
            (result,) = await connection.monitor(subscription, [item])
            self.refused = "" if result.StatusCode.is_good() else result.StatusCode.name
        except LinkLost as error:
            self.refused = str(error)  # and if the connection is lost, the next call says so
        if not self.refused:
            with contextlib.suppress(LinkLost):  # as above; and many a server has no conditions
                await connection.refresh_conditions(subscription, logging.DEBUG)

    def take(self, publish: Publish) -> None:
        for _, values, fault in publish.events:
            if fault is None and len(values) == len(FIELDS) and isinstance(values[0], str):
                count, _ = self.types.get(values[0], (0, None))
                if values[0] not in REFRESHING and (count or len(self.types) < TYPES_MAX):
                    self.types[values[0]] = count + 1, (values[1], values[2])

    async def described(self, connection: Connection) -> list[EventType]:
        """The types, those that came most often first."""
        found = []
        for text, (count, last) in sorted(self.types.items(), key=lambda each: -each[1][0]):
            try:
                with from_library():
                    node = ua.NodeId.from_string(text)
            except LinkLost:
                continue  # of a type that has no id nothing can be asked
            (named,) = await connection.read_attribute([node], ua.AttributeIds.BrowseName)
            own = [
                below
                for below in await connection.browse(node)
                if below.NodeClass == ua.NodeClass.Variable and below.BrowseName.NamespaceIndex
            ][:FIELDS_MAX]
            fields = [(int(each.BrowseName.NamespaceIndex), str(each.BrowseName.Name)) for each in own]
            kinds = await connection.read_attribute([local(each.NodeId) for each in own], ua.AttributeIds.DataType)
            structured = any(str(kind.value).startswith("ns=") or kind.value == STRUCTURE for kind in kinds)
            above = await _above(connection, node)
            found.append(EventType(node, str(named.value), fields, count, last, structured, above))
        return found


async def _above(connection: Connection, node: ua.NodeId) -> tuple[ua.NodeId, ...]:
    """The types that it is a subtype of, the next one first."""
    found = [node]
    while len(found) < TYPE_DEPTH_MAX:
        (above,) = await connection.browse_all([found[-1]], ua.NodeId(ua.ObjectIds.HasSubtype), forward=False)
        if not above:
            break
        found.append(local(above[0].NodeId))
    return tuple(found[1:])


def report(heard: EventsHeard, types: Iterable[EventType], seconds: float) -> list[str]:
    if heard.refused:
        return [f"events: the server does not tell of them: {heard.refused}"]
    rows = [("rate", "event type", "node", "source, message")]
    rows += [
        (
            f"{each.heard / seconds:.3g}/s",
            ascii(each.name)[1:-1],
            each.node.to_string(),
            ", ".join(map(sample, each.last)),
        )
        for each in types
    ]
    return table(rows) if len(rows) > 1 else ["no events came"]


def draft(source: str, types: Sequence[EventType], aliases: Mapping[str, str]) -> list[str]:
    """An entry for each type that is not OPC UA's own, and for its alarms and other conditions; but for those that the
    entry of another condition tells of, for it would be told twice."""
    conditions = {each.node for each in types if each.is_condition}
    lines: list[str] = []
    taken: list[str] = []
    for each in types:
        alias = f"ns{each.node.NamespaceIndex}"
        is_own = alias in aliases
        is_standard = each.is_condition and not each.node.NamespaceIndex
        if not (is_own or is_standard) or not _PLAIN.fullmatch(each.name) or not conditions.isdisjoint(each.above):
            continue
        taken.append(plain_name(each.name, taken))
        fields: dict[str, str] = {}
        if each.is_condition:
            fields["condition"] = "ConditionName"
            fields |= {"active": "ActiveState/Id"} if each.is_alarm else {"kept": "Retain"}
        for index, name in each.fields:
            if f"ns{index}" in aliases and _PLAIN.fullmatch(name):
                fields[plain_name(name, ["status", "time", *fields])] = f"ns{index}:{name}"
        fields[plain_name("message", fields)] = "Message"
        lines += [
            "",
            f"[sources.{key(source)}.events.{taken[-1]}]",
            f"src = {toml(f'site/area/{taken[-1]}')} # its name in every record",
            f"event_type = {toml(f'{alias}:{each.name}' if is_own else each.name)}",
            f"fields = {toml(fields)}",
        ]
        if each.is_condition:
            lines.append("conditions = true # what stands is told once more after each outage")
        if each.is_alarm:
            lines += [
                'record.kind = { const = "jam" } # or what else is set and cleared: see the kinds in docs/records.md',
                'record.code = "condition"',
                'record.state = { path = "active", table = { true = "set", false = "clear" } }',
            ]
        else:
            lines.append('record.kind = { const = "telemetry" } # what happened: see the kinds in docs/records.md')
    return lines
