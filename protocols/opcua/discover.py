"""`sortline discover opcua URL`: browses a server, watches its variables for a while, drafts a source's table."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from asyncua import ua

from engine.arguments import number_of_seconds
from engine.clock import now_us
from engine.errors import Refused
from ext.opcua_values import Reading
from protocols.discovery import (
    Discovery,
    Seen,
    add_place,
    head,
    how_to_connect,
    key,
    numbering,
    plain_name,
    sample,
    table,
    toml,
)
from protocols.opcua import event_discovery
from protocols.opcua.connection import Connection
from protocols.opcua.failures import LinkLost, NotOffered, named
from protocols.opcua.publishing import Publishing
from protocols.opcua.settings import Settings
from protocols.opcua.subscription import Subscription
from protocols.opcua.together import together

PURPOSE = "browse a server, watch its variables, draft the source's table; writes nothing"
CONNECTION = (
    *("url", "user", "password", "user_certificate", "application_uri", "timeout_ms", "message_bytes_max", "security"),
    "structures",
)
DEPTH_MAX = 12
NODES_MAX = 64
VALUES_MAX = 64
NAMED_MAX = 20
OBJECTS = ua.NodeId(85, 0)
SERVER = ua.NodeId(2253, 0)
ROWS_MAX = 200
SCHEME = "opc.tcp://"


class Variable(NamedTuple):
    """A variable below the Objects folder. `place`: the browse names on the way to it, its own the last."""

    node: ua.NodeId
    place: tuple[str, ...]


@dataclass(slots=True)
class Watched:
    """What was seen of a variable. `reading`: at the beginning. `written_us`: its last values, and when the server had
    them."""

    variable: Variable
    reading: Reading
    seen: Seen
    written_us: dict[object, int] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        self.seen.add(reading.value)
        if type(reading.value) is int and reading.source_us is not None:
            self.written_us[reading.value] = reading.source_us
            if len(self.written_us) > VALUES_MAX:
                del self.written_us[next(iter(self.written_us))]

    @property
    def counts(self) -> bool:
        return type(self.reading.value) is int and self.seen.count > 0 and self.seen.rising


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "URL", "of the server: opc.tcp://HOST:PORT/PATH; without security, anonymously")
    parser.add_argument("--seconds", type=number_of_seconds, default=10.0, metavar="N", help="watch for so long (10)")
    parser.add_argument(
        "--under", default="", metavar="NAMES", help="only what stands there: browse names with slashes, Line1/PK01"
    )
    parser.add_argument("--variables", type=int, default=500, metavar="N", help="watch at most so many (500)")
    parser.add_argument("--name", default="opcua", help="the source's name in the draft (opcua)")


async def discover(args: argparse.Namespace) -> Discovery:
    """Without security and anonymously, unless a site file says how. Raises Refused where the server cannot be reached
    so."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    connect = how_to_connect(args, CONNECTION, _connect)
    try:
        settings = msgspec.convert(connect, Settings)
    except msgspec.ValidationError as error:
        raise Refused(f"{connect.get('url', 'opcua')}: {error}") from None
    for path, fault in settings.security.faults():
        raise Refused(f"security.{path}: {fault}")
    session = Connection(settings, args.name)
    try:
        await session.open()
        try:
            wanted = tuple(step for step in args.under.split("/") if step)
            variables = await browse(session, wanted, args.variables)
            heard = event_discovery.EventsHeard()
            watched = await _watch(session, variables, args.seconds, heard)
            types = await heard.described(session)
            offset_us = await _clock_offset_us(session)
        finally:
            await session.close()
    except LinkLost as error:
        how = "; --from a site file that says how" if isinstance(error, NotOffered) and args.table is None else ""
        raise Refused(f"{settings.url}: {error}{how}") from None
    return Discovery(
        [
            *_report(settings.url, args, session.namespaces, watched, offset_us),
            *event_discovery.report(heard, types, args.seconds),
        ],
        draft(args.name, connect, session.namespaces, watched, types),
    )


def _connect(where: str) -> dict[str, Any]:
    url = where if "://" in where else f"{SCHEME}{where}"
    if not url.startswith(SCHEME):
        raise Refused(f"{where}: an address begins with {SCHEME}")
    return {"url": url, "security": {"policy": "None"}}


async def browse(connection: Connection, under: tuple[str, ...], variables_max: int) -> list[Variable]:
    """Variables below the Objects folder, breadth first; the server's own (Server) are left out. Raises Refused where
    `under` leads nowhere."""
    found: list[Variable] = []
    beside: dict[int, list[str]] = {}  # what else there is, by how far the way to it is the one that was asked for
    waiting: list[tuple[ua.NodeId, tuple[str, ...]]] = [(OBJECTS, ())]
    visited = {OBJECTS, SERVER}
    reached = 0  # so many names of `under` were found
    while waiting and len(found) < variables_max:
        node, place = waiting.pop(0)
        for reference in await connection.browse(node):
            below = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex, reference.NodeId.NodeIdType)
            name = (*place, str(reference.BrowseName.Name))
            if below in visited:
                continue
            if not all(a == b for a, b in zip(name, under, strict=False)):
                beside.setdefault(len(place), []).append(name[-1])
                continue
            visited.add(below)
            reached = max(reached, min(len(name), len(under)))
            if reference.NodeClass == ua.NodeClass.Variable and len(name) >= len(under):
                found.append(Variable(below, name))
            if len(name) < DEPTH_MAX:
                waiting.append((below, name))
    if reached < len(under):
        raise Refused(_nowhere(under, reached, beside.get(reached, [])))
    return found[:variables_max]


def _nowhere(under: Sequence[str], reached: int, there: Sequence[str]) -> str:
    """Where a way of browse names ends, and what is there instead."""
    above = "/".join(under[:reached]) or "Objects"
    names = ", ".join(ascii(name)[1:-1] for name in there[:NAMED_MAX]) or "nothing"
    more = f" and {len(there) - NAMED_MAX} more" if len(there) > NAMED_MAX else ""
    return f"--under {'/'.join(under)}: nothing below {above} is called {under[reached]}; there is {names}{more}"


async def _watch(
    connection: Connection, variables: Sequence[Variable], seconds: float, heard: event_discovery.EventsHeard
) -> list[Watched]:
    readings: list[Reading] = []
    for at in range(0, len(variables), connection.limits.read):
        readings += await connection.read([one.node for one in variables[at : at + connection.limits.read]])
    watched = [Watched(one, reading, Seen()) for one, reading in zip(variables, readings, strict=True)]
    await _subscribe(connection, [one for one in watched if not one.reading.bad], seconds, heard)
    return watched


async def _subscribe(
    connection: Connection, watched: Sequence[Watched], seconds: float, heard: event_discovery.EventsHeard
) -> None:
    revised = await connection.subscribe()
    publishing = Publishing(connection, now_us, 3, 256, 1 << 22)
    now = asyncio.get_running_loop().time()
    publishing.add(Subscription(revised.subscription_id, revised.silence_s, [0], now))
    for at in range(0, len(watched), connection.limits.monitor):
        some = watched[at : at + connection.limits.monitor]
        items = [_item(one.variable.node, at + index + 1) for index, one in enumerate(some)]
        await connection.monitor(revised.subscription_id, items)
    await heard.listen(connection, revised.subscription_id, len(watched) + 1)

    async def take() -> None:
        async for message in publishing.messages():
            if message.publish is not None:
                for handle, reading in message.publish.readings():
                    if 0 < handle <= len(watched):
                        watched[handle - 1].add(reading)
                heard.take(message.publish)
                message.subscription.done([message.publish.number])

    try:
        async with asyncio.timeout(seconds):
            await together(publishing.pump(), take(), connection.keep())
    except TimeoutError:
        pass
    for one in watched:
        one.seen.count = max(0, one.seen.count - 1)  # the first is what it was at the beginning


def _item(node: ua.NodeId, handle: int) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters(ClientHandle=handle, SamplingInterval=0.0, QueueSize=100)
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=parameters,
    )


async def _clock_offset_us(connection: Connection) -> int | None:
    """The server's clock less ours, in microseconds; half of the round trip is the doubt."""
    before = now_us()
    answered_us = await connection.clock_us()
    return None if answered_us is None else answered_us - (before + now_us()) // 2


def _report(
    url: str, args: argparse.Namespace, namespaces: Sequence[str], watched: Sequence[Watched], offset_us: int | None
) -> list[str]:
    clock = "unknown" if offset_us is None else f"{offset_us / 1000:+.1f} ms against ours"
    lines = [f"{url}: {len(watched)} variables, the server's clock {clock}"]
    if len(watched) >= args.variables:
        lines.append(f"  only the first {args.variables} variables: narrow --under, or raise --variables")
    lines += [f"  namespace {index}: {ascii(uri)[1:-1]}" for index, uri in enumerate(namespaces) if index]
    busiest = sorted(watched, key=lambda one: -one.seen.count)[:ROWS_MAX]
    rows = [("rate", "variable", "node", "value")]
    for one in busiest:
        value = sample(one.reading.value) if not one.reading.bad else _why_not(one.reading)
        place = ascii("/".join(one.variable.place))[1:-1]
        rows.append((one.seen.rate(args.seconds), place, one.variable.node.to_string(), value))
    more = [f"... and {len(watched) - ROWS_MAX} more variables"] if len(watched) > ROWS_MAX else []
    return [*lines, *table(rows), *more]


def _why_not(reading: Reading) -> str:
    """Why a value cannot be shown: it is bad, or good and nothing that can be read as it is asked for."""
    return named(reading.status) if reading.fault is None else f"cannot be read: {reading.fault}"


def draft(
    name: str,
    connect: Mapping[str, Any],
    namespaces: Sequence[str],
    watched: Sequence[Watched],
    types: Sequence[event_discovery.EventType] = (),
) -> str:
    """A source's table: one entry for each object whose variables changed, its fastest counter the trigger; and one for
    each type of events that came."""
    groups: dict[tuple[str, ...], list[Watched]] = {}
    for one in watched:
        if not one.reading.bad:
            groups.setdefault(one.variable.place[:-1], []).append(one)
    nodes = [one.variable.node for one in watched] + [each.node for each in types]
    spaces = sorted({*(node.NamespaceIndex for node in nodes), *(at for each in types for at, _ in each.fields)} - {0})
    aliases = {f"ns{index}": namespaces[index] for index in spaces if index < len(namespaces)}
    aliases = {alias: uri for alias, uri in aliases.items() if uri}
    lines = head(name, "opcua", connect)
    if list(connect.items())[-1] == ("security", {"policy": "None"}):
        lines[-1] += " # for a first look: choose a policy before it is used"
    lines += [f"namespaces = {toml(aliases)}"] if aliases else []
    if any(each.structured for each in types) and "structures" not in connect:
        lines.append("structures = true # fields of events have types of the server's own")
    taken: list[str] = []
    for place, group in groups.items():
        if any(one.seen.count for one in group) or len(groups) == 1:
            taken.append(plain_name("_".join(place) or "objects", taken))
            lines += ["", *_entry(name, taken[-1], place, group, aliases)]
    events = event_discovery.draft(name, types, aliases)
    lines += events
    if not taken and not events:
        lines += ["", "# nothing changed while it was watched: watch longer, or name the nodes from the list"]
    return "\n".join(lines) + "\n"


def _entry(
    source: str, name: str, place: tuple[str, ...], group: Sequence[Watched], aliases: Mapping[str, str]
) -> list[str]:
    nodes: dict[str, str] = {}
    names: dict[int, str] = {}
    # where all variables of a server stand below one object, those that changed are not the first
    chosen = sorted(group, key=lambda one: not one.seen.count)[:NODES_MAX]
    for one in chosen:
        names[id(one)] = named = plain_name(one.variable.place[-1], ["status", "time", "epoch", *nodes])
        nodes[named] = _node_text(one.variable.node, aliases)
    trigger, check = _trigger(chosen)
    lines = [
        f"[sources.{key(source)}.variables.{name}] # {ascii('/'.join(place))[1:-1]}",
        f"src = {toml(f'site/area/{name}')} # its name in every record",
        f"trigger = {toml(names[id(trigger)])} # the variable that says that something happened",
    ]
    if check is not None:
        lines.append(f"check = {toml(names[id(check)])} # counts the same, and is written before the others")
    lines += [
        'record.kind = { const = "telemetry" } # what happened: see the kinds in docs/records.md',
        *numbering(names[id(trigger)], trigger.counts),
        f"[sources.{key(source)}.variables.{name}.nodes]",
    ]
    lines += [f"{named} = {toml(node)}" for named, node in nodes.items()]
    left = len(group) - len(chosen)
    return [*lines, f"# {left} more stand beside them"] if left else lines


def _trigger(group: Sequence[Watched]) -> tuple[Watched, Watched | None]:
    """The fastest counter, and of several the one that is written last: what belongs to an event is there by then. With
    it one that counts the same and is written before it, if there is one: it shows a torn read."""
    counters = [one for one in group if one.counts]
    if not counters:
        return max(group, key=lambda one: one.seen.count), None
    fastest = max(counters, key=lambda one: one.seen.count)
    # who stops watching may do so in the middle of an event
    equals = [one for one in counters if one.seen.count >= fastest.seen.count - 1]
    alike = [one for one in equals if one.written_us.keys() & fastest.written_us.keys()]
    shared = set(fastest.written_us).intersection(*(one.written_us for one in alike))
    if not shared:
        return fastest, None
    newest = max(shared, key=fastest.written_us.__getitem__)
    first, *_, last = sorted([fastest, *alike], key=lambda one: one.written_us[newest])
    return last, first if first.written_us[newest] < last.written_us[newest] else None


def _node_text(node: ua.NodeId, aliases: Mapping[str, str]) -> str:
    """A node id with an alias for its namespace, if the server names it: it may number them anew."""
    text: str = node.to_string()
    space = node.NamespaceIndex
    return text.replace(f"ns={space};", f"ns=ns{space};", 1) if f"ns{space}" in aliases else text
