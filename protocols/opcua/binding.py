"""The entries on one connection: which node id each name has there, and what is monitored.

One bad node degrades only itself: it is named in the log once, tried again now and then, and the others go on.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from protocols.opcua.connection import Connection
from protocols.opcua.decode import Reading, reading
from protocols.opcua.entries import Entry, EventsEntry, VariablesEntry
from protocols.opcua.events import BASE_EVENT_TYPE, event_filter
from protocols.opcua.names import NameFault, NodeName, Path, Step, namespace_index

log = logging.getLogger("sortline.opcua")

OBJECTS = ua.NodeId(85, 0)
HIERARCHICAL_REFERENCES = ua.NodeId(33, 0)
ITEMS_PER_CALL = 500
SUBTYPES_MAX = 1_000
NOTIFIER = "notifier"

_UNRESOLVED = Reading(None, status=ua.StatusCodes.BadNodeIdUnknown)


@dataclass(frozen=True, eq=False)
class Place:
    """One node of one entry; `node`: its name in `nodes`, or NOTIFIER."""

    entry: Entry
    node: str

    def __str__(self) -> str:
        return f"{self.entry.name}.{self.node}"


class Binding:
    """`bind` once after subscribing and again to try what failed; then `places` tells whose a client handle is."""

    def __init__(self, connection: Connection, entries: Sequence[Entry], source: str) -> None:
        self.entries = entries
        self.places: dict[int, Place] = {}
        self._connection = connection
        self._source = source
        self._handles = itertools.count(1)
        self._places = [Place(entry, node) for entry in entries for node in _names(entry)]
        self._unresolved = list(self._places)
        self._unmonitored: list[Place] = []
        self._ids: dict[tuple[str, str], ua.NodeId] = {}
        self._bad: dict[Place, str] = {}
        self._subtypes: dict[ua.NodeId, list[tuple[ua.QualifiedName, ua.NodeId]]] = {}

    @property
    def whole(self) -> bool:
        """Whether every node is there and monitored."""
        return not self._unresolved and not self._unmonitored and not self._bad

    async def bind(self) -> None:
        """Resolves and monitors what is not yet. Raises LinkLost only."""
        self._subtypes.clear()
        await self._resolve()
        items = []
        for place in self._unmonitored:
            try:
                items.append((place, await self._item(place)))
            except NameFault as fault:
                self._name(place, str(fault))
        for at in range(0, len(items), ITEMS_PER_CALL):
            await self._monitor(items[at : at + ITEMS_PER_CALL])
        await self._probe()

    async def read(self, entry: VariablesEntry) -> list[Reading]:
        """The nodes of `entry.record.read`, in one Read call; those that do not exist are bad."""
        ids = [self._ids.get((entry.name, node)) for node in entry.record.read]
        values = iter(await self._connection.read([node for node in ids if node is not None]))
        return [_UNRESOLVED if node is None else reading(next(values)) for node in ids]

    async def _resolve(self) -> None:
        paths: list[tuple[Place, ua.BrowsePath]] = []
        for place in self._unresolved:
            name = _names(place.entry)[place.node]
            try:
                if isinstance(name, NodeName):
                    self._found(place, self._node_id(name))
                else:
                    paths.append((place, self._browse_path(name)))
            except NameFault as fault:
                self._name(place, str(fault))
        for at in range(0, len(paths), ITEMS_PER_CALL):
            some = paths[at : at + ITEMS_PER_CALL]
            results = await self._connection.translate([path for _, path in some])
            for (place, _), result in zip(some, results, strict=True):
                if result.StatusCode.is_good() and result.Targets:
                    self._found(place, _local(result.Targets[0].TargetId))
                else:
                    self._name(place, f"nothing at this browse path ({result.StatusCode.name})")
        self._unresolved = [place for place in self._unresolved if _key(place) not in self._ids]

    async def _item(self, place: Place) -> ua.MonitoredItemCreateRequest:
        entry, settings = place.entry, place.entry.record.settings
        parameters = ua.MonitoringParameters(QueueSize=settings.queue_size, DiscardOldest=True)
        parameters.ClientHandle = next(self._handles)
        self.places[parameters.ClientHandle] = place
        attribute = ua.AttributeIds.Value
        if isinstance(entry, EventsEntry):
            attribute = ua.AttributeIds.EventNotifier
            parameters.Filter = await self._filter(entry)
        else:
            parameters.SamplingInterval = float(entry.record.settings.sampling_ms)
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=self._ids[_key(place)], AttributeId=attribute),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=parameters,
        )

    async def _monitor(self, items: Sequence[tuple[Place, ua.MonitoredItemCreateRequest]]) -> None:
        results = await self._connection.monitor([item for _, item in items])
        for (place, item), result in zip(items, results, strict=True):
            if not result.StatusCode.is_good():
                self._name(place, f"cannot be monitored: {result.StatusCode.name}")
                continue
            self._unmonitored.remove(place)
            self._heal(place)
            asked = item.RequestedParameters
            revised = (result.RevisedSamplingInterval, result.RevisedQueueSize)
            if revised != (asked.SamplingInterval, asked.QueueSize):
                log.info(
                    "%s: %s: the server samples every %g ms and queues %d (asked: %g ms, %d)",
                    *(self._source, place, *revised, asked.SamplingInterval, asked.QueueSize),
                )

    async def _probe(self) -> None:
        """Reads every variable once, so that a bad one is named before an event needs it."""
        places = [
            place for place in self._places if isinstance(place.entry, VariablesEntry) and _key(place) in self._ids
        ]
        for at in range(0, len(places), ITEMS_PER_CALL):
            some = places[at : at + ITEMS_PER_CALL]
            values = await self._connection.read([self._ids[_key(place)] for place in some])
            for place, value in zip(some, map(reading, values), strict=True):
                if value.bad:
                    self._name(place, value.fault or ua.StatusCode(ua.UInt32(value.status)).name)
                elif place not in self._unmonitored:
                    self._heal(place)

    async def _filter(self, entry: EventsEntry) -> ua.EventFilter:
        event_type = await self._event_type(entry.event_type)
        subtypes = [node for _, node in await self._all_subtypes(event_type)]
        selected = [[self._qualified(step) for step in path] for path in entry.record.selected]
        return event_filter(event_type, subtypes, selected)

    async def _event_type(self, name: NodeName | Step) -> ua.NodeId:
        if isinstance(name, NodeName):
            return self._node_id(name)
        wanted = self._qualified(name)
        for found, node in await self._all_subtypes(BASE_EVENT_TYPE):
            if found == wanted:
                return node
        raise NameFault(f"no event type {name.name!r} below BaseEventType")

    async def _all_subtypes(self, node: ua.NodeId) -> list[tuple[ua.QualifiedName, ua.NodeId]]:
        """Every type below a type, breadth first, at most SUBTYPES_MAX."""
        known = self._subtypes.get(node)
        if known is not None:
            return known
        found: dict[ua.NodeId, ua.QualifiedName] = {}
        waiting = [node]
        while waiting and len(found) < SUBTYPES_MAX:
            for reference in await self._connection.browse_subtypes(waiting.pop(0)):
                below = _local(reference.NodeId)
                if below not in found:
                    found[below] = reference.BrowseName
                    waiting.append(below)
        self._subtypes[node] = [(name, below) for below, name in found.items()]
        return self._subtypes[node]

    def _found(self, place: Place, node: ua.NodeId) -> None:
        self._ids[_key(place)] = node
        if isinstance(place.entry, EventsEntry) or place.node in place.entry.record.monitored:
            self._unmonitored.append(place)
        self._heal(place)

    def _name(self, place: Place, why: str) -> None:
        if self._bad.get(place) != why:
            log.warning("%s: %s: %s; tried again now and then", self._source, place, why)
        self._bad[place] = why

    def _heal(self, place: Place) -> None:
        if self._bad.pop(place, None) is not None:
            log.info("%s: %s: is there now", self._source, place)

    def _node_id(self, name: NodeName) -> ua.NodeId:
        index = namespace_index(name.namespace, self._connection.namespaces)
        return ua.NodeId(name.identifier, index)

    def _qualified(self, step: Step) -> ua.QualifiedName:
        return ua.QualifiedName(step.name, namespace_index(step.namespace, self._connection.namespaces))

    def _browse_path(self, path: Path) -> ua.BrowsePath:
        elements = [
            ua.RelativePathElement(
                ReferenceTypeId=HIERARCHICAL_REFERENCES,
                IsInverse=False,
                IncludeSubtypes=True,
                TargetName=self._qualified(step),
            )
            for step in path
        ]
        return ua.BrowsePath(StartingNode=OBJECTS, RelativePath=ua.RelativePath(Elements=elements))


def _names(entry: Entry) -> dict[str, NodeName | Path]:
    return {NOTIFIER: entry.notifier} if isinstance(entry, EventsEntry) else entry.nodes


def _key(place: Place) -> tuple[str, str]:
    return place.entry.name, place.node


def _local(node: ua.NodeId) -> ua.NodeId:
    """An expanded node id without its server and URI: the node is on this server."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType)
