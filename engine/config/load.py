"""Reads a site file, and refuses it with all of its faults at once.

First each table by itself against its struct, then what only shows when they are held against each other.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from engine.config.faults import Fault, SiteRefused, item_path, key_path, suggest
from engine.config.rules import SITE_NAMES, SOURCE_NAMES, Rules, SourceRules
from engine.config.site import EngineSettings, Name, Route, SinkTable, Site, Source, SourceName, Src, routing
from engine.config.walk import check
from engine.dead_letters import Settings as DeadLetters
from engine.sinks import registry as sinks
from engine.throttle import Settings as Delivery
from protocols import registry as protocols

FILE_BYTES_MAX = 8 * 1024 * 1024
DEFAULT_SINK = "queue"
PLACES = dict.fromkeys(EngineSettings.__struct_fields__, "[engine]") | dict.fromkeys(SITE_NAMES, "[rules]")
PLAINLY = {  # what tomllib says -> what it means
    "Cannot overwrite a value": "a key stands there a second time",
    "Illegal character '\\n'": "a text has no closing quote",
    "Invalid value": "no value stands there: a text goes into quotes, true and false are written small",
    "Expected newline or end of document after a statement": "more follows a value: a number stands without "
    "unit and comma, a text goes into quotes",
    "Unescaped '\\' in a string": "a backslash in a text: write it twice, or the text in single quotes",
}

Table = dict[str, Any]


class Document(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole file; the tables of sources and sinks are held against the structs that they name."""

    site: Name
    engine: EngineSettings = EngineSettings()
    rules: Rules = Rules()
    sources: Annotated[dict[SourceName, Table], msgspec.Meta(max_length=10_000)] = {}
    sinks: Annotated[dict[Name, Table], msgspec.Meta(max_length=64)] = {}
    routes: Annotated[list[Route], msgspec.Meta(max_length=1_000)] = []
    dead_letters: DeadLetters = DeadLetters()


class Coverage(msgspec.Struct, kw_only=True):
    """What any source's table may say beside its protocol's settings."""

    protocol: str | None = None
    covers: Annotated[list[Src], msgspec.Meta(min_length=1, max_length=10_000)] | None = None


class Served(msgspec.Struct, kw_only=True):
    """What any sink's table may say beside its kind's settings."""

    delivery: Delivery = Delivery()


class SiteRules(NamedTuple):
    """What a replay takes from a site file."""

    site: str
    rules: Rules
    source_rules: list[tuple[str, dict[str, int]]]


def load_site(path: Path) -> Site:
    """The site file at `path`. Raises `SiteRefused` with every fault that it has."""
    table = read_toml(path)
    faults = check_site(table)
    if faults:
        raise SiteRefused(str(path), faults)
    document = msgspec.convert({**table, "sources": {}, "sinks": {}}, Document)
    return Site(
        document.site,
        document.engine,
        document.rules,
        tuple(_source(name, source) for name, source in table.get("sources", {}).items()),
        tuple(_sink(name, sink) for name, sink in _sink_tables(table).items()),
        tuple(document.routes),
        document.dead_letters,
        hashlib.sha256(msgspec.json.encode(table, order="sorted", enc_hook=str)).hexdigest()[:16],
    )


def load_rules(path: Path) -> SiteRules:
    """Only the site's name and its rules: a replay needs no library, secret or folder that the rest would ask for."""
    table = read_toml(path)
    faults = [fault for fault in check(_without_settings(table), Document) if not fault.path.startswith("engine.")]
    for name, source in _tables(table, "sources"):
        faults += _common_faults(source, key_path("sources", name))
    if faults:
        raise SiteRefused(str(path), faults)
    document = msgspec.convert({"site": table["site"], "rules": table.get("rules", {})}, Document)
    sources = (_coverage(name, source) for name, source in table.get("sources", {}).items())
    given = [(src, rules.given()) for covers, rules in sources if rules.given() for src in covers]
    return SiteRules(document.site, document.rules, given)


def read_toml(path: Path) -> Table:
    """The file's content. Raises `SiteRefused` where it cannot be read, is not UTF-8, or not TOML (with the line)."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SiteRefused(str(path), [Fault("", f"cannot be read: {error.strerror}")]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise SiteRefused(str(path), [Fault("", f"is longer than {FILE_BYTES_MAX} bytes")])
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))  # editors of Windows begin a file with a mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SiteRefused(str(path), [Fault("", f"is not UTF-8 text (line {line})")]) from None
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        for dark, plain in PLAINLY.items():
            said = said.replace(dark, plain)
        raise SiteRefused(str(path), [Fault("", f"is not TOML: {said}")]) from None
    except RecursionError:
        raise SiteRefused(str(path), [Fault("", "is nested too deeply")]) from None


def check_site(table: Table) -> list[Fault]:
    """Every fault of a decoded site file, ordered as found: by table, then between tables."""
    faults = check(_without_settings(table), Document, elsewhere=PLACES)
    good: list[Source] = []
    for name, source in _tables(table, "sources"):
        found = _source_faults(source, key_path("sources", name))
        faults += found
        good += [] if found else [_source(name, source)]
    for name, sink in _tables(table, "sinks"):
        faults += _sink_faults(sink, key_path("sinks", name))
    faults += _covered_twice(table)
    faults += _held_twice(good)
    faults += _route_faults(table)
    faults += _pace_faults(table)
    return list(dict.fromkeys(faults))


def _without_settings(table: Table) -> Table:
    """The document with its sources and sinks emptied of what other structs know."""
    emptied = {
        part: {name: {} if isinstance(inner, dict) else inner for name, inner in table[part].items()}
        for part in ("sources", "sinks")
        if isinstance(table.get(part), dict)
    }
    return {**table, **emptied}


def _tables(table: Table, part: str) -> list[tuple[str, Table]]:
    """The tables below `part` that are tables; what is not is a fault of the document, named there."""
    inner = table.get(part)
    return [(name, item) for name, item in inner.items() if isinstance(item, dict)] if isinstance(inner, dict) else []


def _only(table: Mapping[str, Any], names: Iterable[str]) -> Table:
    return {name: table[name] for name in names if name in table}


_COMMON = frozenset(Coverage.__struct_fields__)


def _settings_table(source: Table) -> Table:
    return {name: value for name, value in source.items() if name not in _COMMON | SITE_NAMES}


def _source_faults(source: Table, path: str) -> list[Fault]:
    faults = _common_faults(source, path)
    protocol = source.get("protocol")
    settings = _settings_table(source)
    if isinstance(protocol, str):
        faults += _named(protocol, protocols.PROTOCOLS, protocols.settings_of, settings, path, "protocol")
    elif protocol is None:
        known = _COMMON | SOURCE_NAMES
        which = f"unknown key without a protocol ({', '.join(protocols.PROTOCOLS)})"
        faults += [Fault(key_path(path, name), f"{which}: {suggest(name, known)}") for name in settings]
        if not settings and not SITE_NAMES & source.keys():
            faults.append(Fault(path, "does nothing: give it a protocol, or parameters of the rules"))
    return faults


def _common_faults(source: Table, path: str) -> list[Fault]:
    """What any source's table may say, whatever its protocol."""
    faults = check(_only(source, _COMMON), Coverage, path) + check(_only(source, SOURCE_NAMES), SourceRules, path)
    own = ", ".join(sorted(SOURCE_NAMES))
    for name in source:
        if name in SITE_NAMES - SOURCE_NAMES:
            faults.append(
                Fault(key_path(path, name), f"is the whole site's: set it in [rules] (a source may set {own})")
            )
    return faults


def _sink_faults(sink: Table, path: str) -> list[Fault]:
    kind = sink.get("kind", DEFAULT_SINK)
    if not isinstance(kind, str):
        return check(kind, str, key_path(path, "kind"))
    faults = check(sink.get("delivery", {}), Delivery, key_path(path, "delivery"))
    return faults + _named(kind, sinks.SINKS, sinks.settings_of, _own_settings(sink), path, "kind")


def _own_settings(sink: Table) -> Table:
    """What is left of a sink's table for its kind's own struct."""
    return {name: value for name, value in sink.items() if name not in ("kind", "delivery")}


def _named(name: str, known: Mapping[str, Any], settings_of: Any, table: Table, path: str, key: str) -> list[Fault]:
    """Faults of a table whose struct is chosen by the name under its `key`."""
    if name not in known:
        return [Fault(key_path(path, key), f'there is no {key} "{name}": {suggest(name, known)}')]
    try:
        settings = settings_of(name)
    except ImportError as error:
        return [Fault(key_path(path, key), f'"{name}" needs a library that is not installed: {error}')]
    also = [key, *(_COMMON | SOURCE_NAMES if key == "protocol" else ("delivery",))]
    return check(table, settings, path, also)


def _covers(name: str, source: Table) -> list[str]:
    covers = source.get("covers", [name])
    return [src for src in covers if isinstance(src, str)] if isinstance(covers, list) else []


def _covered_twice(table: Table) -> list[Fault]:
    faults = []
    first: dict[str, str] = {}
    for name, source in _tables(table, "sources"):
        path = key_path("sources", name)
        for index, src in enumerate(_covers(name, source)):
            at = item_path(key_path(path, "covers"), index) if "covers" in source else path
            if src in first:
                faults.append(Fault(at, f"{src} is already covered by {first[src]}"))
            first.setdefault(src, path)
    return faults


def _held_twice(sources: Iterable[Source]) -> list[Fault]:
    """What only one of them may have (a name at a broker, a port to listen at), as `alone()` of its settings says."""
    faults = []
    first: dict[str, str] = {}
    for source in sources:
        for key, what in source.settings.alone() if hasattr(source.settings, "alone") else ():
            path = key_path(key_path("sources", source.name), key)
            if what in first:
                faults.append(Fault(path, f"{what} is already that of {first[what]}"))
            first.setdefault(what, path)
    return faults


def _sink_tables(table: Table) -> Table:
    given = table.get("sinks")
    return given if isinstance(given, dict) and given else {DEFAULT_SINK: {}}


def _route_faults(table: Table) -> list[Fault]:
    """Routes to sinks that do not exist, and routes that earlier ones leave nothing to do."""
    routes = table.get("routes", [])
    if not isinstance(routes, list) or not isinstance(table.get("sinks", {}), dict):
        return []
    names = list(_sink_tables(table))
    faults = []
    before: tuple[Route, ...] = ()
    for index, raw in enumerate(routes):
        if check(raw, Route):
            continue
        route = msgspec.convert(raw, Route)
        path = item_path("routes", index)
        unknown = [(i, sink) for i, sink in enumerate(route.sinks or ()) if sink not in names]
        for i, sink in unknown:
            faults.append(Fault(f"{path}.sinks[{i}]", f'there is no sink "{sink}": {suggest(sink, names)}'))
        if not unknown and before and routing((*before, route), names) == routing(before, names):
            faults.append(Fault(path, "is never used: routes before it already say where all of its types go"))
        before = (*before, route)
    return faults


def _pace_faults(table: Table) -> list[Fault]:
    """Paces of queues that a sink does not have."""
    routes = table.get("routes", [])
    if not isinstance(routes, list) or any(check(raw, Route) for raw in routes):
        return []
    faults = []
    to = routing(tuple(msgspec.convert(raw, Route) for raw in routes), list(_sink_tables(table)))
    for name, sink in _tables(table, "sinks"):
        delivery = sink.get("delivery", {})
        if check(delivery, Delivery):
            continue
        queues = {queues[name] for queues in to.values() if name in queues}
        for queue in delivery.get("queues", {}):
            if queue not in queues:
                path = key_path(f"{key_path('sinks', name)}.delivery.queues", queue)
                faults.append(Fault(path, f"this sink has no such queue: {suggest(queue, queues)}"))
    return faults


def _coverage(name: str, source: Table) -> tuple[tuple[str, ...], SourceRules]:
    return tuple(_covers(name, source)), msgspec.convert(_only(source, SOURCE_NAMES), SourceRules)


def _source(name: str, source: Table) -> Source:
    protocol = source.get("protocol")
    settings = None if protocol is None else msgspec.convert(_settings_table(source), protocols.settings_of(protocol))
    covers, rules = _coverage(name, source)
    return Source(name, protocol, settings, covers, rules)


def _sink(name: str, sink: Table) -> SinkTable:
    kind = sink.get("kind", DEFAULT_SINK)
    settings = msgspec.convert(_own_settings(sink), sinks.settings_of(kind))
    return SinkTable(name, kind, settings, msgspec.convert(sink.get("delivery", {}), Delivery))
