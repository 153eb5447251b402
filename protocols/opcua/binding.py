"""The entries on one connection: which node id each name has there, and what is monitored.

One bad node degrades only itself: it is named in the log once, tried again now and then, and the others go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from asyncua import ua

from ext.opcua_notifications import Items
from ext.opcua_values import Reading
from protocols.opcua.connection import Connection
from protocols.opcua.doubts import GONE, Doubt
from protocols.opcua.entries import Entry, EventsEntry, VariablesEntry
from protocols.opcua.events import BASE_EVENT_TYPE, event_filter
from protocols.opcua.failures import advised
from protocols.opcua.names import NameFault, NodeName, Path, Step, namespace_index
from protocols.opcua.subscription import Subscription
from protocols.opcua.type_definitions import local

log = logging.getLogger("sortline.opcua")

OBJECTS = ua.NodeId(85, 0)
HIERARCHICAL_REFERENCES = ua.NodeId(33, 0)
SUBTYPES_MAX = 1_000
NOTIFIER = "notifier"
NAMED_MAX = 8
"""So many entries or nodes are named in one line."""

Value = TypeVar("Value")

_UNRESOLVED = Reading(None, status=ua.StatusCodes.BadNodeIdUnknown)


class Place:
    """One node of one entry; `node`: its name in `nodes`, or NOTIFIER. `owner`: the entry's number.

    `id`: its node id on this server, once it is known. `handle`: its client handle, for life. `item`: what the
    subscription calls it, while it is monitored. `sampling_s`: how seldom the server looks at it.
    """

    def __init__(self, owner: int, entry: Entry, node: str, handle: int) -> None:
        self.owner = owner
        self.entry = entry
        self.node = node
        self.handle = handle
        self.id: ua.NodeId | None = None
        self.subscription: Subscription | None = None
        self.item = 0
        self.sampling_s = 0.0
        self.doubt = Doubt()

    @property
    def monitored(self) -> bool:
        return self.subscription is not None

    def __str__(self) -> str:
        return f"{self.entry.name}.{self.node}"

    @property
    def wanted(self) -> bool:
        """Whether it is to be monitored, not only read."""
        return isinstance(self.entry, EventsEntry) or self.node in self.entry.record.monitored

    def silent(self, read: Reading, now: float) -> str | None:
        """Why nothing more is to be expected of its item, if so; `read`: what its node reads as."""
        if self.subscription is None or isinstance(self.entry, EventsEntry) or not read.sound:
            return None
        heard = self.entry.record.heard.get(self.node)
        of = self.subscription
        return self.doubt.dead(heard, read, now, of.told_at, of.silence_s + self.sampling_s)

    @property
    def is_only_sign(self) -> bool:
        """Whether it alone tells that something happened, and not how often."""
        if isinstance(self.entry, EventsEntry):
            return False
        return self.node == self.entry.record.settings.trigger and not self.entry.record.counts


class Binding:
    """`bind` once after subscribing and again to try what failed; then `items` tells whose a client handle is."""

    def __init__(self, connection: Connection, entries: Sequence[Entry], source: str) -> None:
        self.entries = entries
        self.items = Items()
        self._connection = connection
        self._source = source
        self._places = [
            Place(owner, entry, node, self.items.add(owner, node))
            for owner, entry in enumerate(entries)
            for node in _names(entry)
        ]
        self._by_name = {(place.owner, place.node): place for place in self._places}
        self._bad: dict[Place, str] = {}
        self._dead: list[tuple[Subscription, int]] = []  # items that are not ended yet
        self._one_at_a_time = asyncio.Lock()
        self._subtypes: dict[ua.NodeId, list[tuple[ua.QualifiedName, ua.NodeId]]] = {}

    @property
    def whole(self) -> bool:
        """Whether every node is there and monitored."""
        return not self._bad

    @property
    def amiss(self) -> str:
        """Which nodes are not there, or cannot be read or monitored, and why; empty: all can."""
        if not self._bad:
            return ""
        more = f" and {len(self._bad) - NAMED_MAX} more" if len(self._bad) > NAMED_MAX else ""
        named = "; ".join(f"{place}: {why}" for place, why in islice(self._bad.items(), NAMED_MAX))
        return f"cannot be used: {named}{more}"

    def shares(self, items_max: int) -> list[list[int]]:
        """The entries, by number, shared out among subscriptions of so many items; an entry is never divided."""
        shares: list[list[int]] = [[]]
        items = 0
        for owner, entry in enumerate(self.entries):
            count = sum(place.wanted for place in self._places_of(owner, entry))
            if shares[-1] and items + count > items_max:
                shares.append([])
                items = 0
            shares[-1].append(owner)
            items += count
        return shares

    def move(self, connection: Connection) -> None:
        """The session goes on over another connection; what is monitored stays monitored."""
        self._connection = connection

    def forget(self, owners: Sequence[int]) -> None:
        """The subscription of these entries is gone: nothing of them is monitored."""
        for place in self._places:
            if place.owner in owners:
                place.subscription = None

    def monitored_events(self, owners: Sequence[int]) -> list[EventsEntry]:
        """Of these entries those of events that are monitored."""
        there = [(owner, entry) for owner in owners if isinstance(entry := self.entries[owner], EventsEntry)]
        return [entry for owner, entry in there if self._by_name[owner, NOTIFIER].monitored]

    async def bind(self, subscriptions: Sequence[Subscription]) -> None:
        """Resolves and monitors what is not yet. Raises LinkLost only."""
        async with self._one_at_a_time:  # or an item would be monitored twice
            await self._end_dead(subscriptions)
            self._subtypes.clear()
            await self._resolve()
            for subscription in subscriptions:
                await self._monitor_all(subscription)
            await self._probe()

    async def look(self) -> list[int]:
        """Reads every variable to see what became of it. Returns the entries of those that were monitored and that the
        server tells nothing of any more: `bind` monitors all of such an entry anew, for what was known of some of its
        nodes does not go with what is told of the others now. Raises LinkLost only."""
        async with self._one_at_a_time:
            owners = list(dict.fromkeys(place.owner for place in await self._probe()))
            for place in self._places:
                if place.owner in owners and place.subscription is not None:
                    self._drop(place)
                    self._bad.setdefault(place, "monitored anew")
            return owners

    async def read(self, owner: int, entry: VariablesEntry) -> list[Reading]:
        """The nodes of `entry.record.read`, in one Read call if the server takes so many; the missing ones are bad."""
        ids = [self._by_name[owner, node].id for node in entry.record.read]
        there = [node for node in ids if node is not None]
        values: list[Reading] = []
        for some in _slices(there, self._connection.limits.read):
            values += await self._connection.read(some)
        found = iter(values)
        return [_UNRESOLVED if node is None else next(found) for node in ids]

    def _places_of(self, owner: int, entry: Entry) -> list[Place]:
        return [self._by_name[owner, node] for node in _names(entry)]

    async def _resolve(self) -> None:
        paths: list[tuple[Place, ua.BrowsePath]] = []
        for place in self._places:
            if place.id is not None:
                continue
            name = _names(place.entry)[place.node]
            try:
                if isinstance(name, NodeName):
                    place.id = self._node_id(name)
                else:
                    paths.append((place, self._browse_path(name)))
            except NameFault as fault:
                self._name(place, str(fault))
        for some in _slices(paths, self._connection.limits.translate):
            results = await self._connection.translate([path for _, path in some])
            for (place, _), result in zip(some, results, strict=True):
                if result.StatusCode.is_good() and result.Targets:
                    place.id = local(result.Targets[0].TargetId)
                else:
                    self._name(place, f"nothing at this browse path ({result.StatusCode.name})")

    async def _monitor_all(self, subscription: Subscription) -> None:
        items = []
        for owner in subscription.owners:
            for place in self._places_of(owner, self.entries[owner]):
                if place.id is None or place.monitored or not place.wanted:
                    continue
                try:
                    items.append((place, await self._item(place)))
                except NameFault as fault:
                    self._name(place, str(fault))
        revised: Counter[str] = Counter()
        blind: dict[str, list[str]] = {}
        for some in _slices(items, self._connection.limits.monitor):
            await self._monitor(subscription, some, revised, blind)
        for change, count in revised.items():
            log.info("%s: the server %s, for %d items", self._source, change, count)
        for habit, names in blind.items():
            more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
            log.warning(
                "%s: the server says that it %s, and nothing numbers the events of %s%s: one that comes sooner after "
                "another may be lost, and nobody can see it",
                self._source,
                habit,
                ", ".join(names[:NAMED_MAX]),
                more,
            )

    async def _item(self, place: Place) -> ua.MonitoredItemCreateRequest:
        entry = place.entry
        parameters = ua.MonitoringParameters(QueueSize=entry.record.settings.queue_size, DiscardOldest=True)
        parameters.ClientHandle = place.handle
        attribute = ua.AttributeIds.Value
        if isinstance(entry, EventsEntry):
            attribute = ua.AttributeIds.EventNotifier
            parameters.SamplingInterval = 0.0
            parameters.Filter = await self._filter(entry)
        else:
            parameters.SamplingInterval = float(entry.record.settings.sampling_ms)
            if entry.record.settings.edge == "write" and place.node == entry.record.settings.trigger:
                parameters.Filter = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=place.id, AttributeId=attribute),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=parameters,
        )

    async def _monitor(
        self,
        subscription: Subscription,
        items: Sequence[tuple[Place, ua.MonitoredItemCreateRequest]],
        revised: Counter[str],
        blind: dict[str, list[str]],
    ) -> None:
        results = await self._connection.monitor(subscription.number, [item for _, item in items])
        for (place, item), result in zip(items, results, strict=True):
            if not result.StatusCode.is_good():
                place.id = None  # it may have been another node's once
                self._name(place, f"cannot be monitored: {advised(result.StatusCode.value)}")
                continue
            place.subscription, place.item = subscription, int(result.MonitoredItemId)
            place.sampling_s = max(0.0, float(result.RevisedSamplingInterval) / 1000)
            place.doubt.began()
            if isinstance(place.entry, EventsEntry):
                self._heal(place)  # of a variable a Read has to show it
            asked = item.RequestedParameters
            got = (float(result.RevisedSamplingInterval), int(result.RevisedQueueSize))
            if got[0] > 0 and place.is_only_sign:
                blind.setdefault(f"looks every {got[0]:g} ms", []).append(place.entry.name)
            if got[1] == 1 and place.is_only_sign:
                # a queue of one has no overflow bit (OPC 10000-4 section 7.11.1)
                blind.setdefault("keeps one value between two publishings", []).append(place.entry.name)
            if got != (asked.SamplingInterval, asked.QueueSize):
                wanted = (asked.SamplingInterval, asked.QueueSize)
                revised["samples every {:g} ms and queues {} (asked: {:g} ms, {})".format(*got, *wanted)] += 1

    async def _probe(self) -> list[Place]:
        """Reads every variable once, so that a bad one is named before an event needs it. Returns those whose item is
        dead."""
        dead = []
        now = asyncio.get_running_loop().time()
        places = [
            (place, place.id)
            for place in self._places
            if isinstance(place.entry, VariablesEntry) and place.id is not None
        ]
        for some in _slices(places, self._connection.limits.read):
            values = await self._connection.read([node for _, node in some])
            for (place, _), value in zip(some, values, strict=True):
                why = place.silent(value, now)
                if why is not None or value.status in GONE:
                    dead += [place] if place.monitored else []
                    self._drop(place)
                if why is not None or value.bad:
                    self._name(place, why or value.fault or ua.StatusCode(ua.UInt32(value.status)).name)
                elif place.monitored or not place.wanted:
                    self._heal(place)
        return dead

    def _drop(self, place: Place) -> None:
        """Its node is another one now, or is to be monitored anew."""
        if place.subscription is not None:
            self._dead.append((place.subscription, place.item))
        place.id = place.subscription = None

    async def _end_dead(self, subscriptions: Sequence[Subscription]) -> None:
        """Those of a subscription that is gone went with it; another one may have its number by now."""
        for subscription in subscriptions:
            items = [item for of, item in self._dead if of is subscription]
            for some in _slices(items, self._connection.limits.monitor):
                await self._connection.unmonitor(subscription.number, some)
        self._dead.clear()

    async def _filter(self, entry: EventsEntry) -> ua.EventFilter:
        event_type = await self._event_type(entry.event_type)
        subtypes = [node for _, node in await self._all_subtypes(event_type)]
        selected = [[self._qualified(step) for step in path] for path in entry.record.selected]
        return event_filter(event_type, subtypes, selected, entry.record.settings.severity_min)

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
                below = local(reference.NodeId)
                if below not in found:
                    found[below] = reference.BrowseName
                    waiting.append(below)
        self._subtypes[node] = [(name, below) for below, name in found.items()]
        return self._subtypes[node]

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


def _slices(values: Sequence[Value], length: int) -> Iterator[Sequence[Value]]:
    for at in range(0, len(values), length):
        yield values[at : at + length]
